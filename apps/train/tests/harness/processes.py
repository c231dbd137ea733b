"""Commands in processes of their own, forked from one process that has imported their libraries already."""

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

_IMPORTED = (  # not wandb: at its end, a process deletes what the import of wandb has made for all
    "sklearn.datasets",
    "frame_architectures.digits",
    "frame_eval",
    "frame_loggers.tensorboard",
    "frame_models",
    "frame_train.commands.evaluate",
    "frame_train.commands.train",
    "frame_train.evaluating",
    "frame_train.training",
)
_ENVIRONMENT = {
    "GLOO_SOCKET_IFNAME": "lo",
    "OMP_NUM_THREADS": "1",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_MODE": "disabled",
}


class ForkServer:
    """Forks processes on request while it is entered."""

    def __enter__(self) -> Self:
        command = [sys.executable, __file__]
        pipe = subprocess.PIPE
        environment = {**os.environ, **_ENVIRONMENT}
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()

    def ask(self, **request: Any) -> int:
        """Return the answer to a request."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


class Commands:
    """Starts commands in one folder. By default they log to no service and know no other home.

    Args:
        server: Forks them.
        folder: Their working directory, to which their output is written.
        environment: Added to their environment.
    """

    def __init__(self, server: ForkServer, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._server = server
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **_ENVIRONMENT, **(environment or {})}
        self._n_started = 0

    def start(self, *arguments: str, program: str = "train", terminal: str = "", **variables: str) -> "Command":
        """Start a command in a process group of its own.

        Args:
            arguments: Its arguments.
            program: The command: a module of `frame_train.commands`, or the path of a script.
            terminal: The path of a terminal to run in.
            variables: Added to its environment.
        """
        self._n_started += 1
        output = terminal or str(self.folder / f"output-{self._n_started}.txt")
        environment = {**self._environment, **variables}
        pid = self._server.ask(start=[program, list(arguments), str(self.folder), output, environment])
        return Command(self._server, pid, Path(output))

    def run(self, *arguments: str, **options: str) -> "Command":
        """Run a command until it ends."""
        command = self.start(*arguments, **options)
        command.wait()
        return command


class Command:
    """A command that was started."""

    def __init__(self, server: ForkServer, pid: int, output: Path) -> None:
        self._server = server
        self.pid = pid
        self._output = output
        self.code: int | None = None

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._output.read_text()

    def wait(self) -> int:
        """Wait for its end, and return its exit code, which is negative for a signal."""
        self.code = self._server.ask(wait=self.pid)
        return self.code

    def wait_until(self, is_so: Callable[[], object]) -> None:
        """Wait for a condition, which must occur before the end."""
        while not is_so():
            os.kill(self.pid, 0)
            assert not Path(f"/proc/{self.pid}/status").read_text().count("zombie"), self.output
            time.sleep(0.01)

    def send(self, *signals: signal.Signals) -> None:
        """Send it some signals."""
        for number in signals:
            os.kill(self.pid, number)


def _serve() -> None:
    for name in _IMPORTED:
        import_module(name)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            print(os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1]), flush=True)  # noqa: T201
            continue
        pid = os.fork()
        if pid == 0:
            _become(*request["start"])
        print(pid, flush=True)  # noqa: T201


def _become(program: str, arguments: list[str], folder: str, output: str, environment: dict[str, str]) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    written = os.open(output, os.O_RDWR | os.O_CREAT)  # a terminal becomes that of the session
    read = written if os.isatty(written) else os.open(os.devnull, os.O_RDONLY)
    for opened, descriptor in ((read, 0), (written, 1), (written, 2)):
        os.dup2(opened, descriptor)
    sys.argv = [program, *arguments]
    if program.endswith(".py"):
        run_path(program)
    else:
        import_module(f"frame_train.commands.{program}").main()
    sys.exit()


if __name__ == "__main__":
    _serve()
