"""Runs `train` in processes of their own, without the seconds that each would take to import its libraries."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Self

_IMPORTED = (
    "sklearn.datasets",
    "frame_architectures.digits",
    "frame_eval",
    "frame_loggers.tensorboard",
    "frame_models",
    "frame_train.commands.train",
    "frame_train.training",
)


class Commands:
    """Starts commands while it is entered: each is forked from one process that has imported all there is.

    Args:
        folder: Where they run, and write what they say.
        environment: Their environment.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._n_started = 0

    def __enter__(self) -> Self:
        command = [sys.executable, __file__]
        pipe = subprocess.PIPE
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._server = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        return self

    def __exit__(self, *error: object) -> None:
        self._server.communicate()

    def start(self, *arguments: str, **variables: str) -> "Command":
        """Start `train` with some arguments, in a group of its own; more variables may stand in its environment."""
        self._n_started += 1
        output = self._folder / f"output-{self._n_started}.txt"
        environment = {**self._environment, **variables}
        pid = self.ask(start=[list(arguments), str(self._folder), str(output), environment])
        return Command(self, pid, output)

    def run(self, *arguments: str, **variables: str) -> "Command":
        """Run `train` until it ends."""
        command = self.start(*arguments, **variables)
        command.wait()
        return command

    def ask(self, **request: Any) -> int:
        """Ask the process that forks for something, and give its answer."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(request), file=self._server.stdin, flush=True)
        return int(self._server.stdout.readline())


class Command:
    """A command that was started."""

    def __init__(self, commands: Commands, pid: int, output: Path) -> None:
        self._commands = commands
        self.pid = pid
        self._output = output
        self.code: int | None = None

    @property
    def output(self) -> str:
        """What it has said until now."""
        return self._output.read_text()

    def wait(self) -> int:
        """Wait for its end, and give its exit code; that of a signal is negative."""
        self.code = self._commands.ask(wait=self.pid)
        return self.code

    def wait_until(self, is_so: Callable[[], object]) -> None:
        """Wait until something is so, which it is not after the end."""
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
            _become_train(*request["start"])
        print(pid, flush=True)  # noqa: T201


def _become_train(arguments: list[str], folder: str, output: str, environment: dict[str, str]) -> None:
    from frame_train.commands.train import main

    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for path, flags, descriptors in ((os.devnull, os.O_RDONLY, (0,)), (output, os.O_WRONLY | os.O_CREAT, (1, 2))):
        opened = os.open(path, flags)
        for descriptor in descriptors:
            os.dup2(opened, descriptor)
    sys.argv = ["train", *arguments]
    main()


if __name__ == "__main__":
    _serve()
