"""Commands in processes of their own, forked from a server that has already imported their libraries."""

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from runpy import run_path
from typing import Any, Self

from docstrings import skip_docstrings_of_fields
from frame_train.api import check_statically
from frame_train.commands.startup import defer_packages
from frame_train.composition.compose import compose_config
from shortcuts import take_shortcuts

_IMPORTED = (  # not wandb: a process that ends deletes the files that its import has created
    "jinja2",
    "pydantic.type_adapter",
    "pydantic.types",
    "PIL.GifImagePlugin",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "frame_architectures.digits",
    "frame_eval",
    "frame_loggers.tensorboard",
    "frame_models",
    "frame_train.commands.evaluate",
    "frame_train.commands.train",
    "frame_train.evaluating",
    "frame_train.training",
    "multiprocessing.synchronize",
    "numpy.random",
    "rich._emoji_codes",
    "torch.nested._internal.nested_tensor",
)
_EXPERIMENT = ("+experiment=DIGITS_VAE",)
ENVIRONMENT = {
    "GLOO_SOCKET_IFNAME": "lo",
    "OMP_NUM_THREADS": "1",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_MODE": "disabled",
}


class ForkServer:
    """Forks processes on request inside a `with` block."""

    def __enter__(self) -> Self:
        command = [sys.executable, __file__]
        pipe = subprocess.PIPE
        environment = {**os.environ, **ENVIRONMENT}
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()

    def ask(self, **request: Any) -> int:
        """Send a request, and return its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


class Commands:
    """Starts commands in one folder, which is also their home. By default they log to no service.

    Args:
        server: Server that forks their processes.
        folder: Their working directory, which receives their output too.
        environment: Further variables of their environment.
    """

    def __init__(self, server: ForkServer, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._server = server
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **ENVIRONMENT, **(environment or {})}
        self._n_started = 0

    def start(self, *arguments: str, program: str = "train", terminal: str = "", **variables: str) -> "Command":
        """Start a command in a process group of its own.

        Args:
            arguments: Arguments of the command.
            program: A module of `frame_train.commands`, or the path of a script.
            terminal: Path of a terminal to run in.
            variables: Further variables of its environment.
        """
        self._n_started += 1
        output = terminal or str(self.folder / f"output-{self._n_started}.txt")
        if not terminal:
            Path(output).touch()  # it can be read before the command has opened it
        environment = {**self._environment, **variables}
        pid = self._server.ask(start=[program, list(arguments), str(self.folder), output, environment])
        return Command(self._server, pid, Path(output))

    def run(self, *arguments: str, **options: str) -> "Command":
        """Run a command until it ends."""
        command = self.start(*arguments, **options)
        command.wait()
        return command


class Command:
    """A started command."""

    def __init__(self, server: ForkServer, pid: int, output: Path) -> None:
        self._server = server
        self.pid = pid
        self._output = output
        self.code: int | None = None

    @property
    def output(self) -> str:
        """Output so far."""
        return self._output.read_text()

    def wait(self) -> int:
        """Wait for its end, and return its exit code: a negative one is a signal."""
        self.code = self._server.ask(wait=self.pid)
        return self.code

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition that must hold before the command ends."""
        while not condition():
            os.kill(self.pid, 0)
            assert not Path(f"/proc/{self.pid}/status").read_text().count("zombie"), self.output
            time.sleep(0.01)

    def send(self, *signals: signal.Signals) -> None:
        """Send signals, one after another."""
        for number in signals:
            os.kill(self.pid, number)


def find_children(pid: int) -> list[int]:
    """Return the process ids of the children of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    """Return whether a process runs."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "zombie" not in status.read_text()


def _serve() -> None:
    exit_code = [0]
    atexit.register(_exit, exit_code)  # registered first, it runs last
    defer_packages()  # as every command does
    for name in _IMPORTED:
        import_module(name)
    skip_docstrings_of_fields()
    take_shortcuts()
    check_statically(compose_config(_EXPERIMENT), _EXPERIMENT, notify=lambda _: None)  # reads the signatures
    gc.freeze()  # else each forked process would collect all of this at its end, which takes a second
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            print(os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1]), flush=True)  # noqa: T201
            continue
        pid = os.fork()
        if pid == 0:
            exit_code[0] = 1  # unless the command exits with another
            _become(exit_code, *request["start"])
        print(pid, flush=True)  # noqa: T201


def _exit(exit_code: list[int]) -> None:
    """Exit without deleting the modules one by one, which would copy the memory of the server: a third of a second.

    Args:
        exit_code: The exit code, in a list because it is known later.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code[0])


def _become(
    exit_code: list[int], program: str, arguments: list[str], folder: str, output: str, environment: dict[str, str]
) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    written = os.open(output, os.O_RDWR | os.O_CREAT)  # a terminal becomes the controlling one
    read = written if os.isatty(written) else os.open(os.devnull, os.O_RDONLY)
    for opened, descriptor in ((read, 0), (written, 1), (written, 2)):
        os.dup2(opened, descriptor)
    sys.argv = [program, *arguments]
    try:
        if program.endswith(".py"):
            run_path(program)
        else:
            import_module(f"frame_train.commands.{program}").main()
        sys.exit(0)
    except SystemExit as exit_:
        exit_code[0] = int(exit_.code or 0)
        raise


if __name__ == "__main__":
    _serve()
