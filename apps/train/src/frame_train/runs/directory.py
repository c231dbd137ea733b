"""The directory of a run and its ``run.json``."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import stat
import subprocess
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from frame_loggers.files import open_regular, replace_text
from frame_loggers.wandb_run import read_wandb_run
from frame_train.composition.compose import list_task_overrides
from frame_train.composition.foreign.interpolations import escape
from frame_train.composition.settings import hide_environment, workspace
from frame_train.distributed.environment import name_launch
from frame_train.errors import CompositionError
from frame_train.files import made_folder
from frame_train.runs.metrics import read_best, read_last
from frame_train.runs.record import read_log

_PACKAGES = (
    "frame-core",
    "frame-models",
    "frame-architectures",
    "frame-eval",
    "frame-loggers",
    "frame-train",
    "torch",
    "torchvision",
    "pytorch-lightning",
    "hydra-core",
    "omegaconf",
    "numpy",
)

_OF_END = ("ended", "complete", "last", "best")  # keys of ``run.json`` that a run in training does not have
_WANDB_LOGGERS = ("frame_loggers.WandbLogger", "frame_loggers.wandb.WandbLogger")
_LONGEST_NAME = 255  # of a folder, in bytes

_FILES = ("config.yaml", "overrides.yaml", "run.json", "metrics.jsonl", "report.html", ".lock")
_FOLDERS = ("checkpoints", "images", "tensorboard", "wandb", ".wandb")  # events of version 0.1 are in tensorboard/
_LINKS_OF_WANDB = re.compile(r"wandb/(latest-run|debug\.log|debug-internal\.log|[^/]+/logs/debug-core\.log)")
"""Links that wandb makes. It replaces them, and writes through none."""

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)

FORMAT = 2
"""The version of the layout of a run directory, and of the words of its config. A newer version is refused."""


@contextlib.contextmanager
def make_run_directory(config: DictConfig) -> Generator[Path]:
    """Make ``<device.experiments_root>/<run.project>/<run.name>/<time>``; remove it if the block raises.

    If two runs start in the same second, the later one gets ``<time>-2``.

    Raises:
        CompositionError: A name is not the name of a folder, or ``run.directory`` is set.
        OSError: The folder can't be made.
    """
    if config.run.get("directory") is not None:
        message = (
            "`run.directory` is set by `train`, from `device.experiments_root`, `run.project` and `run.name`, got "
        )
        raise CompositionError(f"{message}{config.run.directory!r}. Remove it.", "run.directory")
    parent = Path(config.device.experiments_root) / _folder(config, "project") / _folder(config, "name")
    with made_folder(parent):
        directory = _claim(parent)
        try:
            yield directory.resolve()
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)  # a logger may still write
            raise


def check_entries(directory: Path) -> None:
    """Check that everything in a run directory that is read or written is a regular file or a folder.

    Raises:
        CompositionError: An entry is a link, a pipe or a device, or a folder in place of a file.
    """
    for path, expected in _list_entries(directory):
        with contextlib.suppress(FileNotFoundError):
            found = _name_kind(path.lstat().st_mode)
            if found not in expected:
                raise CompositionError(
                    f"`run`: {str(path)!r} must be a {' or a '.join(expected)} of the run directory, got a {found}. "
                    "Replace or remove it."
                )


def _list_entries(directory: Path) -> Iterator[tuple[Path, Sequence[str]]]:
    """Yield all paths of a run directory that are read or written, existing or not, with their allowed kinds."""
    yield from ((directory / name, ["file"]) for name in _FILES)
    yield from ((path, ["file"]) for path in directory.glob("events.out.tfevents.*"))
    for folder in (directory / name for name in _FOLDERS):
        yield folder, ["folder"]
        for root, folders, files in os.walk(folder):  # `walk` does not follow links
            for name in (*folders, *files):
                path = Path(root, name)
                is_link_of_wandb = _LINKS_OF_WANDB.fullmatch(path.relative_to(directory).as_posix())
                yield path, ["file", "folder", "link"] if is_link_of_wandb else ["file", "folder"]


def _name_kind(mode: int) -> str:
    kinds = {stat.S_ISREG: "file", stat.S_ISDIR: "folder", stat.S_ISLNK: "link", stat.S_ISFIFO: "pipe"}
    return next((name for is_kind, name in kinds.items() if is_kind(mode)), "device")


def is_unwritable(directory: Path, error: OSError) -> bool:
    """Return whether an error is that a run directory can't be written, or that its disk is full or damaged."""
    return error.errno in _DISK_ERRORS or str(directory) in str(error.filename)


def write_description(
    directory: Path, config: DictConfig, arguments: Sequence[str], pretrained: Mapping[str, Any] | None = None
) -> None:
    """Write the composed ``config.yaml``, ``overrides.yaml`` and ``run.json`` into a run directory.

    Args:
        directory: The run directory.
        config: The composed config.
        arguments: The arguments that it is composed from. ``overrides.yaml`` has the overrides in Hydra's grammar.
        pretrained: The runs that have trained parts of the model, by the key of the part.
    """
    replace_text(directory / "config.yaml", OmegaConf.to_yaml(config))
    replace_text(directory / "overrides.yaml", OmegaConf.to_yaml(OmegaConf.create(list_task_overrides(arguments))))
    description = {
        "format": FORMAT,
        "started": _format_time(datetime.now()),
        "command": ["train", *arguments],
        "launch": name_launch(),
        "project": str(config.run.project),
        "name": str(config.run.name),
        "params": OmegaConf.to_container(hide_environment(config).params, resolve=True),
        "monitor": {"metric": config.monitor.metric, "mode": config.monitor.mode},
        "seed": config.seed,
        "pretrained": dict(pretrained or {}),
        "device": config.device.name,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {package: version(package) for package in _PACKAGES},
        "git": _describe_git(),
        "uv_lock_sha256": _hash_lock(),
    }
    _replace_description(directory, description)


def write_end(directory: Path) -> None:
    """Add to ``run.json`` the end of training and its metrics. Until `write_completion`, the run can be resumed."""
    _update_description(directory, {"ended": _format_time(datetime.now()), "complete": False})
    write_metrics(directory)


def write_completion(directory: Path) -> None:
    """Add to ``run.json`` that the run is complete. A process that is killed before loses nothing: the run resumes."""
    _update_description(directory, {"complete": True})


def write_metrics(directory: Path) -> None:
    """Write the last value of every metric, and those at the best step, from ``metrics.jsonl`` into ``run.json``."""
    metrics = read_log(directory).metrics
    monitor = read_description(directory).get("monitor", {})
    best = read_best(metrics, str(monitor.get("metric")), str(monitor.get("mode")))
    _update_description(directory, {"last": read_last(metrics), "best": best})


def write_missing_end(directory: Path) -> None:
    """Add to ``run.json`` the end of a killed run: the time of its last log entry, before others are appended."""
    last_time = read_log(directory).last_time
    if "ended" not in read_description(directory) and last_time is not None:
        _update_description(directory, {"ended": _format_time(datetime.fromtimestamp(last_time)), "complete": False})


def write_resumption(directory: Path, config: DictConfig, global_step: int, changes: Sequence[str]) -> None:
    """Write the config of a resumed run, and add the global step and the changes to ``run.json``."""
    replace_text(directory / "config.yaml", OmegaConf.to_yaml(config))
    description = read_description(directory)
    entry = {"time": _format_time(datetime.now()), "global_step": global_step, "changes": list(changes)}
    description["resumed"] = [*description.get("resumed", []), entry]
    description["format"] = FORMAT
    _replace_description(directory, {key: description[key] for key in description if key not in _OF_END})


def read_description(directory: Path) -> dict[str, Any]:
    """Read ``run.json``.

    Raises:
        CompositionError: The file is damaged, or its format is unknown.
        OSError: The file can't be read.
    """
    path = directory / "run.json"
    try:
        with open(path, encoding="utf-8", opener=open_regular) as file:
            description = json.load(file)
        number = description.setdefault("format", 1)
    except (ValueError, AttributeError, RecursionError) as error:
        raise CompositionError(f"`run`: {str(path)!r} must be a JSON object that describes a run: {error}.") from error
    if type(number) is not int or number < 1:
        raise CompositionError(f"`run`: `format` in {str(path)!r} must be a positive integer, got {number!r}.")
    if number > FORMAT:
        raise CompositionError(
            f"`run`: {str(path)!r} has format {number}, and this version of frame-train reads formats up to {FORMAT}. "
            "Use a newer version."
        )
    return description


def continue_wandb_runs(config: DictConfig, directory: Path) -> list[str]:
    """Make the W&B loggers continue the W&B run of a directory; return their names if the directory has none.

    Args:
        config: The config of the run, which is modified.
        directory: The run directory.

    Raises:
        CompositionError: The identity of its W&B run can't be read.
    """
    names = [
        str(name)
        for name, options in config.logger.items()
        if options is not None and options.get("_target_") in _WANDB_LOGGERS
    ]
    try:
        known = read_wandb_run(directory) if names else None
    except ValueError as error:
        raise CompositionError(f"`logger.{names[0]}`: {error}", f"logger.{names[0]}") from error
    if known is None:
        return names
    for name in names:
        config.logger[name].run_id = escape(known.id)
    return []


@contextlib.contextmanager
def claimed(directory: Path, key: str = "resume") -> Generator[None]:
    """Lock a run directory, so that no other process trains or evaluates in it.

    Args:
        directory: The run directory.
        key: The key that names the directory, for an error message.

    Raises:
        CompositionError: Another process has locked it.
    """
    with open(directory / ".lock", "a", opener=open_regular) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CompositionError(
                f"`{key}`: another process trains or evaluates in {str(directory)!r}. Wait until it ends, or stop it."
            ) from error
        yield


def is_claimed(directory: Path) -> bool:
    """Return whether a process trains in a run directory."""
    try:
        with open(directory / ".lock", opener=open_regular) as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _update_description(directory: Path, more: Mapping[str, Any]) -> None:
    _replace_description(directory, {**read_description(directory), **more})


def _replace_description(directory: Path, description: Mapping[str, Any]) -> None:
    replace_text(directory / "run.json", json.dumps(description, indent=2) + "\n")


def _format_time(time: datetime) -> str:
    return time.astimezone().isoformat(timespec="seconds")


def _folder(config: DictConfig, key: str) -> str:
    name = "" if config.run[key] is None else str(config.run[key])
    is_folder = name.isprintable() and name == name.strip() and "/" not in name and not name.startswith((".", "-"))
    if not name or not is_folder or len(name.encode()) > _LONGEST_NAME:
        raise CompositionError(
            f"`run.{key}` must be the name of a folder: printable characters other than '/', beginning with neither "
            f"'.' nor '-', of at most {_LONGEST_NAME} bytes, got {name!r}."
        )
    return name


def _claim(parent: Path) -> Path:
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    number = 1
    while True:
        directory = parent / (stamp if number == 1 else f"{stamp}-{number}")
        try:
            directory.mkdir()
        except FileExistsError:
            number += 1
        else:
            return directory


def _describe_git() -> dict[str, str | bool] | None:
    """Return the commit of the workspace, and whether it has uncommitted changes."""
    commit = _git("rev-parse", "HEAD")
    return None if commit is None else {"commit": commit, "dirty": bool(_git("status", "--porcelain"))}


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(workspace()), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _hash_lock() -> str | None:
    lock = workspace() / "uv.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None
