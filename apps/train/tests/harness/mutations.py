"""Random changes of a run directory by somebody who can edit every byte of it, and a watch over what follows."""

import builtins
import errno
import io
import json
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from threading import enumerate as list_threads
from threading import get_ident
from typing import Any, Self

import torch
import yaml
from omegaconf import OmegaConf

from frame_train.runs.checkpoint_files import write_checkpoint

# What may stand where something else is expected


def list_targets(outside: Path) -> list[dict[str, Any]]:
    """Return components that execute, write, download or read something outside the run directory."""
    planted = str(outside / "planted")
    command = f"touch {planted}"
    archive = {"root": "${run.directory}/planted", "download": True}
    return [
        {"_target_": "os.system", "command": command},
        {"_target_": "subprocess.Popen", "args": command, "shell": True},
        {"_target_": "builtins.eval", "_args_": [f"open({planted!r}, 'w')"]},
        {"_target_": "builtins.open", "_args_": [planted, "w"]},
        {"_target_": "pathlib.Path.touch", "_args_": [planted]},
        {"_target_": "torch.load", "f": "${run.directory}/planted.pkl", "weights_only": False},
        {"_target_": "torch.save", "obj": {}, "f": planted},
        {"_target_": "torch.hub.load", "repo_or_dir": "${run.directory}", "model": "planted", "source": "local"},
        {"_target_": "torch.nn.functional.torch.save", "obj": {}, "f": planted},
        {"_target_": "torch.nn.Identity", "a": {"_target_": "os.system", "command": command}},
        {"_target_": "torch.utils.tensorboard.SummaryWriter", "log_dir": planted},
        {"_target_": "torchvision.transforms.Lambda", "lambd": {"_target_": "os.system", "_partial_": True}},
        {"_target_": "hydra.utils.instantiate", "config": {"_target_": "os.system", "command": command}},
        {"_target_": "logging.FileHandler", "filename": planted},
        {"_target_": "functools.partial", "_args_": [{"_target_": "os.system", "_partial_": True}, command]},
        {"_target_": "planted.Planted", "_args_": [planted]},
        {"_target_": "frame_train.load_run", "where": "${run.directory}"},
        {"_target_": "frame_train.callbacks.PeriodicCheckpoint", "directory": planted, "save_every": "1 epoch"},
        {"_target_": "frame_train.data.MNIST", "root": planted, "split": "test", "download": True},
        {"_target_": "frame_loggers.FileLogger", "directory": planted},
        {"_target_": "frame_loggers.TensorBoardLogger", "directory": planted},
        {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": planted},
        *(
            {"_target_": f"torchvision.datasets.{name}", **archive}
            for name in ("Cityscapes", "Kitti", "CIFAR10", "LSUN")
        ),
        {"_target_": "torchvision.datasets.Kinetics", **archive, "frames_per_clip": 1},
        {"_target_": "torchvision.datasets.ImageFolder", "root": str(outside)},
        {"_target_": "torch.nn.Linear", "in_features": 10**9, "out_features": 10**9},
    ]


def list_values(outside: Path) -> list[Any]:
    """Return values of every kind, many of which are dangerous in a careless program."""
    return [
        *(None, True, False, -1, 0, 1, 3, 2**31, 10**30, -0.5, 1e308, float("nan"), float("inf")),
        *(
            "",
            "a",
            "x" * 5_000,
            "\x1b[2J\x1b]0;title\x07",
            "<script>alert(1)</script>",
            "[red]",
            "\u202e",
            "日本",
            "\ud800",
        ),
        *(
            "../" * 9 + "planted",
            str(outside / "planted"),
            "~",
            "~nobody",
            "/dev/zero",
            "\0",
            "$(touch planted)",
            "%s{}",
        ),
        *("${oc.env:SECRET}", "${oc.env:SECRET,a}", "\\${oc.env:SECRET}", "${oc.decode:'\\${oc.env:SECRET}'}"),
        *("${oc.create:'{a: \\${oc.env:SECRET}}'}", "${workspace:}", "${planted:1}", "${run.directory}/..", "${model}"),
        *(
            "${nowhere}",
            "${.name}",
            "${evaluation}",
            "${..data}",
            "???",
            "torch.nn.Linear",
            "torch.nn.${oc.env:SECRET}",
            "1e5",
        ),
        *([], {}, [1, 2], ["a", None], {"a": {"b": []}}, {"_target_": 1}, {"_target_": None}, {"_args_": 1}),
        *({"_target_": "torch.nn.Linear"}, {"_target_": "torch.nn.Identity", "_partial_": True}),
        *({"_target_": "torch.nn.Identity", "_recursive_": False, "a": "${model}"}, {1: 2}, {"a.b": 1}, {"": ""}),
        *list_targets(outside),
    ]


# The changes

_BUILT = ("model", "architectures", "data", "evaluation", "evaluation", "logger", "params", "optimization", "run", "")
"""Groups of a config that are built or that refer to what is built; the last one stands for the whole config."""


class Mutation:
    """Changes of one run directory, drawn from a seed.

    Args:
        run: The run directory.
        outside: A folder that nothing may change, with a ``file`` and a ``folder``.
        seed: Seed of the choices.
    """

    def __init__(self, run: Path, outside: Path, seed: int) -> None:
        self._run = run
        self._outside = outside
        self._random = random.Random(seed)
        self.changes: list[str] = []

    def apply(self) -> None:
        """Apply one change or more."""
        kinds: list[Callable[[], str]] = [
            *[self._change_config] * 6,
            *[self._change_json, self._change_bytes, self._change_checkpoint] * 2,
            *(self._change_metrics, self._replace_entry, self._change_mode, self._add_file),
        ]
        drawn = self._random.choices(kinds, k=self._random.choice((1, 1, 1, 2, 3)))
        for change in sorted(drawn, key=lambda change: change == self._replace_entry):  # others could wait for a pipe
            self.changes.append(change())

    def _change_config(self) -> str:
        path = self._run / "config.yaml"
        try:
            config = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
        except Exception:  # an earlier change has spoilt it
            return "nothing"
        group = self._random.choice(_BUILT)
        told = self._change_tree(config[group] if isinstance(config.get(group), dict) and config[group] else config)
        path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8", errors="surrogatepass")
        return f"config: {told}"

    def _change_tree(self, tree: Any) -> str:
        """Change one entry of a nested container."""
        places = list(_iterate_places(tree))
        container, name = self._random.choice(places)
        kind = self._random.choice(("replace", "replace", "replace", "remove", "rename", "copy", "add"))
        value = deepcopy(self._random.choice(list_values(self._outside)))
        if kind == "copy":
            other, key = self._random.choice(places)
            value = deepcopy(other[key])
        if kind == "remove":
            del container[name]
        elif kind in ("add", "rename") and isinstance(container, dict):
            key = self._random.choice([value for value in list_values(self._outside) if isinstance(value, str | int)])
            container[key] = container.pop(name) if kind == "rename" else value
        else:
            container[name] = value
        return f"{kind} {name!r} {str(value)[:80]!r}"

    def _change_json(self) -> str:
        name = self._random.choice(("run.json", "checkpoints/last.ckpt.json", "overrides.yaml", "wandb/run.json"))
        path = self._run / name
        path.parent.mkdir(exist_ok=True)
        texts = (
            "[1]",
            "5",
            "null",
            '"a"',
            "{}",
            "",
            "[" * 100_000,
            "1" * 5_000,
            "NaN",
            '{"a": 1e999}',
            "\x1b[2J",
            "- *a",
        )
        if self._random.random() < 0.4 or not path.is_file():
            text = self._random.choice(texts)
        else:
            try:
                content = yaml.safe_load(path.read_text())
            except (ValueError, yaml.YAMLError):  # an earlier change has spoilt it
                return "nothing"
            if not isinstance(content, dict | list) or not content:
                return "nothing"
            self._change_tree(content)
            text = json.dumps(content, default=str)
        path.write_text(text)
        return f"{name}: {text[:80]!r}"

    def _change_metrics(self) -> str:
        values = [value for value in list_values(self._outside) if not isinstance(value, dict) or 1 not in value]
        names = [value for value in values if isinstance(value, str)] + ["trainer/global_step", "time", "counters/a"]
        line = {self._random.choice(names): self._random.choice(values) for _ in range(3)}
        with (self._run / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(line) + self._random.choice(("\n", "", "\n\n", "\0")))
        return f"metrics: {str(line)[:80]!r}"

    def _change_bytes(self) -> str:
        path = self._choose_file()
        content = bytearray(path.read_bytes())
        at = self._random.randrange(len(content) + 1)
        match self._random.choice(("flip", "cut", "insert", "noise", "double")):
            case "flip" if content:
                content[at - 1] ^= 1 << self._random.randrange(8)
            case "cut":
                del content[at:]
            case "insert":
                content[at:at] = self._random.choice(
                    (b"\0", b"\xff\xfe", b"\n", b"'", b"{", b": *a", b"!!python/name:os.system")
                )
            case "noise":
                content[at : at + 20] = self._random.randbytes(20)
            case _:
                content *= 2
        path.write_bytes(content)
        return f"bytes of {path.relative_to(self._run)}"

    def _change_checkpoint(self) -> str:
        path = self._run / "checkpoints" / self._random.choice(("last.ckpt", "best.ckpt"))
        try:
            content = torch.load(path, weights_only=True)
        except Exception:
            return "nothing"
        kind = self._random.choice(("pickle", "tree", "tree", "dtype", "shape", "nan", "key", "meta", "expand"))
        state = content["state_dict"]
        name = self._random.choice(list(state))
        match kind:
            case "pickle":
                content["planted"] = _Planted(str(self._outside / "planted"))
            case "tree":
                self._change_tree({name: value for name, value in content.items() if name != "state_dict"})
                key = self._random.choice(list(content))
                content[key] = self._random.choice([None, [], {}, -1, 10**30, "a", {1: 2}, {"\x1b[2J": 1}])
            case "dtype":
                state[name] = state[name].to(
                    self._random.choice((torch.int8, torch.complex64, torch.float16, torch.bool))
                )
            case "shape":
                state[name] = state[name].flatten()[:1]
            case "nan":
                state[name] = state[name] * float("nan")
            case "key":
                state[self._random.choice(("", "model.\x1b[2J", "model.a.b", "a"))] = state.pop(name)
            case "meta":
                state[name] = state[name].to("meta")
            case _:
                state[name] = torch.zeros(1).expand(2**40)
        step = self._random.choice((4, 0, -1, 10**9))
        write_checkpoint(path, step, True, lambda file: torch.save(content, file))
        if self._random.random() < 0.3:
            path.with_name(f"{path.name}.json").unlink()
        return f"{path.name}: {kind} of {name}"

    def _replace_entry(self) -> str:
        names = ("config.yaml", "run.json", "metrics.jsonl", "report.html", ".lock", "checkpoints", "images", "wandb")
        path = self._random.choice(
            [*(self._run / name for name in (*names, "tensorboard", ".wandb")), self._choose_file()]
        )
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        kind = self._random.choice(
            ("link", "link", "folder link", "dangling link", "hard link", "pipe", "folder", "nothing")
        )
        match kind:
            case "link":
                path.symlink_to(self._outside / "file")
            case "folder link":
                path.symlink_to(self._outside / "folder")
            case "dangling link":
                path.symlink_to(self._outside / "planted")
            case "hard link":
                os.link(self._outside / "file", path)
            case "pipe":
                os.mkfifo(path)
            case "folder":
                path.mkdir()
            case _:
                pass
        return f"{path.relative_to(self._run)}: {kind}"

    def _change_mode(self) -> str:
        path = self._random.choice([self._run / "images", self._run, self._choose_file()])
        mode = self._random.choice((0o000, 0o444, 0o555, 0o777, 0o4755))
        path.chmod(mode)
        return f"{path.relative_to(self._run)}: mode {mode:o}"

    def _add_file(self) -> str:
        planted = f"open({str(self._outside / 'planted')!r}, 'w')\n"
        name, text = self._random.choice(
            (
                ("planted.py", planted),
                ("hubconf.py", planted),
                ("torchvision/__init__.py", planted),
                ("sitecustomize.py", planted),
                ("matplotlibrc", "backend: module://planted\n"),
                ("wandb/settings", "[default]\nbase_url = http://127.0.0.1:9\n"),
                (".git/config", f"[core]\n\tfsmonitor = touch {self._outside / 'planted'}\n"),
                ("images/\x1b[2J-00000001.png", "\x89PNG\r\n\x1a\n"),
                ("images/.a.png.0123456789abcdef.tmp", ""),
                ("images/Samples-999999999999999.png", "no picture"),
                ("checkpoints/x.ckpt", "no checkpoint"),
                ("checkpoints/.last.ckpt.before", "no checkpoint"),
                ("events.out.tfevents.planted", "no events"),
            )
        )
        path = self._run / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return f"new {name!r}"

    def _choose_file(self) -> Path:
        return self._random.choice(sorted(path for path in self._run.rglob("*") if path.is_file()))


class _Planted:
    """Touches a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self._path}",)


def _iterate_places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every entry of a nested container, as the container and the key or index."""
    for name in list(tree) if isinstance(tree, dict) else range(len(tree)):
        yield tree, name
        if isinstance(tree[name], dict | list):
            yield from _iterate_places(tree[name])


# The watch

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = ("os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.truncate", "os.rename", "os.link", "os.symlink")
_EXECUTIONS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "pickle.find_class")
_CONNECTIONS = ("socket.connect", "socket.getaddrinfo", "urllib.Request")
_open_file = open


class Watch:
    """Records what this process does outside one folder while it is entered: writes, executions and connections.

    Threads that already run are left out, such as one of W&B that an earlier test has started.

    Args:
        inside: The folder in which it may write.
        outside: A folder that it may not even read.
    """

    _active: "Watch | None" = None
    _is_installed = False

    def __init__(self, inside: Path, outside: Path) -> None:
        self._inside = inside.resolve()
        self._outside = outside.resolve()
        self.found: list[str] = []
        self._earlier: set[int | None] = set()

    def __enter__(self) -> Self:
        if not Watch._is_installed:
            sys.addaudithook(_audit)  # it can't be removed
            Watch._is_installed = True
        self._earlier = {thread.ident for thread in list_threads()} - {get_ident()}
        Watch._active = self
        builtins.open = io.open = self._open
        return self

    def __exit__(self, *error: object) -> None:
        builtins.open = io.open = _open_file
        Watch._active = None

    def _open(self, path: Any, *arguments: Any, opener: Any = None, **others: Any) -> Any:
        """Open a file. The interpreter reports that before an opener refuses it, and a refused one is not read."""
        n_found = len(self.found)
        try:
            return _open_file(path, *arguments, opener=opener, **others)
        except OSError as error:
            if opener is not None and error.errno == errno.ELOOP:
                self.found[n_found:] = [event for event in self.found[n_found:] if os.fspath(path) not in event]
            raise

    def record(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Record an event of the interpreter if it is not harmless."""
        if get_ident() in self._earlier:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes) and not self._is_harmless(os.fsdecode(path), bool(flags & _WRITING)):
                self.found.append(f"open {path!r} {flags:o}")
        elif event in _CHANGES:
            paths = [os.fsdecode(path) for path in arguments[: 2 if event in _CHANGES[-3:] else 1] if path != -1]
            if not all(self._is_harmless(path, True) for path in paths):
                self.found.append(f"{event} {paths}")
        elif event in _EXECUTIONS or event in _CONNECTIONS:
            self.found.append(f"{event} {str(arguments)[:200]}")

    def _is_harmless(self, name: str, is_written: bool) -> bool:
        path = Path(os.path.realpath(os.path.dirname(name)), os.path.basename(name))
        path = path.resolve() if path.is_symlink() else path
        if path.is_relative_to(self._outside):
            return False
        return not is_written or path.is_relative_to(self._inside) or "__pycache__" in name or name == os.devnull


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    watch = Watch._active
    if watch is not None:
        Watch._active = None  # recording opens nothing, but it asks for paths
        watch.record(event, arguments)
        Watch._active = watch
