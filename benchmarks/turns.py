"""Contenders that take turns, each in its own process, so that other load affects all of them equally."""

import io
import logging
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

_WARM_UP = 50
_ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Turn:
    """Cost of ticks: CPU and wall time in seconds per tick, and the peak memory of the process in MiB."""

    cpu: float
    wall: float
    memory: float


@dataclass(frozen=True)
class Contender:
    """A function that ticks forever.

    Args:
        target: Its dotted path.
        options: Further arguments, as text.
        python: The command that starts its Python, by default this one.
    """

    target: str
    options: Sequence[str] = ()
    python: Sequence[str] = (sys.executable,)


def take_turns(
    contenders: Mapping[str, Contender], data_root: Path, directory: Path, n_rounds: int, n_ticks: int
) -> dict[str, list[Turn]]:
    """Run each contender for some ticks, in turn, round after round.

    Args:
        contenders: The contenders by name.
        data_root: The folder of the data.
        directory: The output folder, with a subfolder for each contender.
        n_rounds: Number of turns of each contender.
        n_ticks: Number of ticks in a turn, which ends at the first that completes them: a step group is not divided.
    """
    turns: dict[str, list[Turn]] = {name: [] for name in contenders}
    started = {name: _Process(contender, data_root, directory / name) for name, contender in contenders.items()}
    try:
        for contender in started.values():
            contender.take_turn(_WARM_UP)
        for index in range(n_rounds):
            names = list(contenders)
            for name in names if index % 2 == 0 else reversed(names):
                turns[name].append(started[name].take_turn(n_ticks))
    finally:
        for contender in started.values():
            contender.stop()
    return turns


class _Process:
    """Contender in its own process, which waits for its turns."""

    def __init__(self, contender: Contender, data_root: Path, directory: Path) -> None:
        directory.mkdir()
        self._pipe, pipe = Pipe()
        arguments = [str(pipe.fileno()), str(data_root), str(directory), contender.target, *contender.options]
        command = [*contender.python, "-m", "benchmarks.turns", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        self._process = subprocess.Popen(command, env=environment, pass_fds=[pipe.fileno()])
        pipe.close()

    def take_turn(self, n_ticks: int) -> Turn:
        try:
            self._pipe.send(n_ticks)
            return Turn(*self._pipe.recv())
        except (EOFError, ConnectionError) as error:
            raise RuntimeError(f"{self._process.args} has ended.") from error

    def stop(self) -> None:
        self._pipe.close()
        self._process.wait()


class Meter:
    """Meter of turns: it waits for each turn, and reports its cost afterwards."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._wait()

    def tick(self, n_new: int = 1) -> None:
        """Count ticks, and report the mean cost of one at the end of a turn."""
        self._n_done += n_new
        if self._n_done >= self._n_ticks:
            _wait_for_gpu()
            cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
            self._pipe.send((cpu / self._n_done, wall / self._n_done, _read_peak()))
            self._wait()

    def _wait(self) -> None:
        try:
            self._n_ticks = self._pipe.recv()
        except EOFError:  # there are no more turns
            sys.exit()
        self._n_done = 0
        self._cpu, self._wall = time.process_time(), time.perf_counter()


def _wait_for_gpu() -> None:
    """Wait for the GPU, if the contender uses one."""
    import torch  # only the process of a contender imports torch

    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _read_peak() -> float:
    """Return the greatest resident memory of this process so far, in MiB.

    The number of `getrusage` starts with that of the parent process, so Linux's own count is preferred.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class _Terminal(io.StringIO):
    """Output that is discarded but claims to be a terminal, so that a progress bar is drawn as on a terminal."""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)


def main() -> None:
    """Run a contender in this process."""
    descriptor, data_root, directory, target, *options = sys.argv[1:]
    os.environ["WANDB_MODE"] = "offline"
    os.environ["WANDB_SILENT"] = "true"
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with Connection(int(descriptor)) as pipe:
        sys.stdout = _Terminal()
        module, _, name = target.rpartition(".")
        getattr(import_module(module), name)(Path(data_root), Path(directory), Meter(pipe).tick, *options)


if __name__ == "__main__":
    main()
