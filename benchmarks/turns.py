"""Contenders that take turns, each in a process of its own, so that what else the machine does meets all alike."""

import io
import logging
import multiprocessing
import os
import resource
import sys
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

_WARM_UP = 50


@dataclass(frozen=True)
class Turn:
    """What some ticks cost: CPU and wall time in seconds to a tick, and the peak memory of the process in MiB."""

    cpu: float
    wall: float
    memory: float


def take_turns(
    contenders: Mapping[str, str], data_root: Path, directory: Path, n_rounds: int, n_ticks: int
) -> dict[str, list[Turn]]:
    """Let each contender go on for some ticks, in turn, and that again and again.

    Args:
        contenders: By name, the full name of a function that ticks for ever.
        data_root: Where the data are.
        directory: Where contenders write, each into a folder of its name.
        n_rounds: Number of turns of each.
        n_ticks: Number of ticks in a turn.
    """
    turns: dict[str, list[Turn]] = {name: [] for name in contenders}
    started = {name: _Contender(target, data_root, directory / name) for name, target in contenders.items()}
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


class _Contender:
    """A function that ticks, in a process of its own, where it waits for its turns."""

    def __init__(self, target: str, data_root: Path, directory: Path) -> None:
        directory.mkdir()
        context = multiprocessing.get_context("spawn")
        self._pipe, pipe = context.Pipe()
        self._process = context.Process(target=_run, args=(target, data_root, directory, pipe))
        self._process.start()
        pipe.close()

    def take_turn(self, n_ticks: int) -> Turn:
        self._pipe.send(n_ticks)
        return self._pipe.recv()

    def stop(self) -> None:
        self._pipe.send(None)
        self._process.join()


class _Meter:
    """Waits for a turn, and tells what it cost when it is over."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._wait()

    def tick(self) -> None:
        self._n_left -= 1
        if self._n_left == 0:
            _wait_for_gpu()
            cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            self._pipe.send(Turn(cpu / self._n_ticks, wall / self._n_ticks, memory))
            self._wait()

    def _wait(self) -> None:
        n_ticks = self._pipe.recv()
        if n_ticks is None:
            sys.exit()
        self._n_ticks = self._n_left = n_ticks
        self._cpu, self._wall = time.process_time(), time.perf_counter()


def _wait_for_gpu() -> None:
    """Wait for what a contender has told a GPU to do; one that uses none is asked nothing."""
    import torch  # in the process of a contender, which has it

    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


class _Terminal(io.StringIO):
    """Takes what is written for a terminal, and forgets it: a progress bar is drawn as often as on one."""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)


def _run(target: str, data_root: Path, directory: Path, pipe: Connection) -> None:
    os.environ["WANDB_MODE"] = "offline"
    os.environ["WANDB_SILENT"] = "true"
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    sys.stdout = _Terminal()
    module, _, name = target.rpartition(".")
    getattr(import_module(module), name)(data_root, directory, _Meter(pipe).tick)
