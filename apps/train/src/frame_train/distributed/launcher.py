"""Starts the other processes of a training, and does not outlive them."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from pytorch_lightning import Trainer
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy
from torch import distributed

from frame_train.console import print_error
from frame_train.distributed import collectives
from frame_train.distributed.environment import DIRECTORY, may_restart, tell_directory
from frame_train.errors import CompositionError, TrainingError

_PATIENCE = 5.0  # seconds in which the loss of a process is to show in the first one
_PATIENCE_AT_THE_END = 60.0

_PARENT = "FRAME_FIRST_PROCESS"
"""The variable in which a process that the first one has started finds its number."""

_ADDRESS = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")
"""The variables by which processes find one another: those of a run are not those of a grid's next job."""

Follower = subprocess.Popen[bytes]


def check_processes(trainer: Trainer) -> None:
    """Check that the processes that a trainer asks for can be had.

    Raises:
        CompositionError: They can't.
    """
    strategy = trainer.strategy
    if isinstance(strategy, SingleDeviceStrategy):
        return
    if not isinstance(strategy, DDPStrategy):
        message = f"`trainer.strategy` must be 'auto' or 'ddp', got one of `{type(strategy).__name__}`."
        raise CompositionError(message, "trainer.strategy")
    environment = strategy.cluster_environment
    if not isinstance(environment, LightningEnvironment | TorchElasticEnvironment):
        message = (
            f"`trainer.devices`: {trainer.world_size} processes are not taken over from "
            f"`{type(environment).__name__}`; start them with `torchrun --nproc-per-node … -m frame_train …`."
        )
        raise CompositionError(message, "trainer.devices")
    if isinstance(environment, LightningEnvironment) and trainer.num_nodes > 1:
        message = (
            f"`trainer.num_nodes`: {trainer.num_nodes} machines are not reached from here; start each with "
            "`torchrun --nnodes … --nproc-per-node … -m frame_train …`."
        )
        raise CompositionError(message, "trainer.num_nodes")
    if trainer.num_nodes > 1 and may_restart():  # whose processes could then wait for those of another restart
        message = (
            f"`torchrun --max-restarts` needs one machine, got {trainer.num_nodes}: each machine counts its restarts "
            "alone. Leave it out, and resume the run with `resume=auto`."
        )
        raise CompositionError(message, "trainer.num_nodes")


@contextlib.contextmanager
def followed(trainer: Trainer, directory: Path, on_loss: Callable[[], None]) -> Generator[None]:
    """Have the other processes with one, from before a training begins until it is over.

    One that is lost ends the training, also where the first process waits for a device that waits for the lost one.

    Args:
        trainer: The trainer.
        directory: The run directory, with all that those who follow read in it.
        on_loss: Called before this process ends because another one was lost.

    Raises:
        TrainingError: One was lost.
    """
    before = {name: os.environ[name] for name in _ADDRESS if name in os.environ}
    followers = _start(trainer, directory)
    _store = tell_directory(directory)  # served until the training is over
    is_over = threading.Event()
    if followers:
        threading.Thread(target=_watch, args=(followers, trainer, on_loss, is_over), daemon=True).start()
    try:
        yield
        _wait(followers, _PATIENCE_AT_THE_END)
    except RuntimeError as error:
        if isinstance(error, TrainingError):
            raise
        _wait(followers, 1.0)  # what an error comes from may be a moment from its end
        if _find_lost(followers):
            raise TrainingError(_tell_lost(followers)) from error
        raise
    finally:
        is_over.set()
        for follower in followers:
            follower.kill()
            follower.wait()
        collectives.end()
        if isinstance(trainer.strategy, DDPStrategy) and distributed.is_initialized():
            distributed.destroy_process_group()
        for name in _ADDRESS:
            os.environ.pop(name, None)
        os.environ.update(before)


def end_with_parent() -> None:
    """End this process when the one that has started it is no more."""
    parent = int(os.environ.get(_PARENT, os.getppid()))  # which may be gone already
    threading.Thread(target=_wait_for_another_parent, args=(parent,), daemon=True).start()


def _wait_for_another_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _start(trainer: Trainer, directory: Path) -> list[Follower]:
    """Start the others, in groups of their own: Ctrl-C is for the first, which tells them."""
    strategy = trainer.strategy
    if not isinstance(strategy, DDPStrategy) or not isinstance(strategy.cluster_environment, LightningEnvironment):
        return []
    environment = strategy.cluster_environment
    address = {"MASTER_ADDR": environment.main_address, "MASTER_PORT": str(environment.main_port)}
    os.environ.update(address, NODE_RANK="0", LOCAL_RANK="0")  # by which Lightning knows that all is started
    return [
        subprocess.Popen(
            [sys.executable, "-P", "-m", "frame_train"],
            env={**os.environ, "LOCAL_RANK": str(rank), DIRECTORY: str(directory), _PARENT: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            process_group=0,
        )
        for rank in range(1, strategy.num_processes)
    ]


def _watch(
    followers: Sequence[Follower], trainer: Trainer, on_loss: Callable[[], None], is_over: threading.Event
) -> None:
    """End all where one is lost and the first does not come to know of it."""
    while not _find_lost(followers):
        if is_over.wait(0.5):
            return
    if is_over.wait(_PATIENCE) or trainer.interrupted:
        return
    print_error(_tell_lost(followers))
    on_loss()
    for follower in followers:
        follower.kill()
    os._exit(1)


def _wait(followers: Sequence[Follower], seconds: float) -> None:
    """Wait for the end of all, or for some seconds."""
    end = time.monotonic() + seconds
    while any(follower.poll() is None for follower in followers) and time.monotonic() < end:
        time.sleep(0.02)


def _find_lost(followers: Sequence[Follower]) -> dict[int, int]:
    """Give the exit code of each that has ended with an error, by its number."""
    codes = {number: follower.poll() for number, follower in enumerate(followers, start=1)}
    return {number: code for number, code in codes.items() if code}


def _tell_lost(followers: Sequence[Follower]) -> str:
    told = " and ".join(f"process {number} (exit code {code})" for number, code in _find_lost(followers).items())
    return f"Of {len(followers) + 1} processes, {told} has ended, counted from 0."
