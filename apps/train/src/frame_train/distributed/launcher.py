"""Launcher of the worker ranks."""

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
from frame_train.distributed.collectives import get_collectives
from frame_train.distributed.environment import DIRECTORY, may_restart, publish_directory
from frame_train.distributed.sharding import ShardedStrategy
from frame_train.errors import CompositionError, TrainingError

_PATIENCE = 5.0  # seconds in which rank 0 should notice the loss of a rank by itself
_PATIENCE_AT_THE_END = 60.0

_PARENT = "FRAME_FIRST_PROCESS"
"""Environment variable with the process id of rank 0, set for the worker ranks that it starts."""

_ADDRESS = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")
"""Environment variables by which ranks connect. They are restored afterwards, for the next job of a grid."""

_STRATEGIES = (DDPStrategy, ShardedStrategy)

Worker = subprocess.Popen[bytes]


def check_processes(trainer: Trainer) -> None:
    """Check that the processes of a trainer can be started.

    Raises:
        CompositionError: The processes can't be started.
    """
    strategy = trainer.strategy
    if isinstance(strategy, SingleDeviceStrategy):
        return
    if not isinstance(strategy, _STRATEGIES):
        message = (
            f"`trainer.strategy` must be 'auto', 'ddp' or a `ShardedStrategy`, got one of `{type(strategy).__name__}`."
        )
        raise CompositionError(message, "trainer.strategy")
    environment = strategy.cluster_environment
    if not isinstance(environment, LightningEnvironment | TorchElasticEnvironment):
        message = (
            f"`trainer.devices`: {trainer.world_size} processes of `{type(environment).__name__}` are not supported. "
            "Start them with `torchrun --nproc-per-node … -m frame_train …`."
        )
        raise CompositionError(message, "trainer.devices")
    if isinstance(environment, LightningEnvironment) and trainer.num_nodes > 1:
        message = (
            f"`trainer.num_nodes`: {trainer.num_nodes} machines need a launcher. On each, run "
            "`torchrun --nnodes … --nproc-per-node … -m frame_train …`."
        )
        raise CompositionError(message, "trainer.num_nodes")
    if trainer.num_nodes > 1 and may_restart():  # ranks of different restarts could wait for one another
        message = (
            f"`torchrun --max-restarts` needs one machine, got {trainer.num_nodes}: each machine counts its own "
            "restarts. Omit it, and resume the run with `resume=auto`."
        )
        raise CompositionError(message, "trainer.num_nodes")


@contextlib.contextmanager
def running_workers(trainer: Trainer, directory: Path, on_loss: Callable[[], None]) -> Generator[None]:
    """Run the worker ranks for the duration of training.

    The loss of a rank ends the training, even while rank 0 waits for a device that waits for the lost rank.

    Args:
        trainer: The trainer.
        directory: The run directory, with every file that worker ranks read.
        on_loss: Called before this process exits because a rank was lost.

    Raises:
        TrainingError: A rank was lost.
    """
    before = {name: os.environ[name] for name in _ADDRESS if name in os.environ}
    workers = _start(trainer, directory)
    _store = publish_directory(directory)  # served until training ends
    is_over = threading.Event()
    if workers:
        threading.Thread(target=_watch, args=(workers, trainer, on_loss, is_over), daemon=True).start()
    try:
        yield
        _wait(workers, _PATIENCE_AT_THE_END)
    except RuntimeError as error:
        if isinstance(error, TrainingError):
            raise
        _wait(workers, 1.0)  # the rank that caused the error may still be exiting
        if _find_lost(workers):
            raise TrainingError(_describe_lost(workers)) from error
        raise
    finally:
        is_over.set()
        for worker in workers:
            worker.kill()
            worker.wait()
        get_collectives(trainer).disconnect()
        if isinstance(trainer.strategy, _STRATEGIES) and distributed.is_initialized():
            distributed.destroy_process_group()
        for name in _ADDRESS:
            os.environ.pop(name, None)
        os.environ.update(before)


@contextlib.contextmanager
def ending_with_parent() -> Generator[None]:
    """Exit when the process that started this one has ended. The first worker rank reports it."""
    parent = int(os.environ.get(_PARENT, os.getppid()))  # it may have ended already
    watch = threading.Thread(target=_exit_after, args=(parent,), daemon=True)
    watch.start()
    try:
        yield
    except RuntimeError:
        watch.join(0.5)  # a collective fails a moment before the parent has ended
        raise


def _exit_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.1)
    if DIRECTORY in os.environ and os.environ.get("LOCAL_RANK") == "1":  # rank 0 has started it
        resume = f"train resume={os.environ[DIRECTORY]}"
        print_error(f"Rank 0 was lost. `{resume}` continues from the last checkpoint.")
    os._exit(1)


def _start(trainer: Trainer, directory: Path) -> list[Worker]:
    """Start the worker ranks in their own process groups: Ctrl-C reaches rank 0, which stops them."""
    strategy = trainer.strategy
    if not isinstance(strategy, _STRATEGIES) or not isinstance(strategy.cluster_environment, LightningEnvironment):
        return []
    environment = strategy.cluster_environment
    address = {"MASTER_ADDR": environment.main_address, "MASTER_PORT": str(environment.main_port)}
    os.environ.update(address, NODE_RANK="0", LOCAL_RANK="0")  # so that Lightning starts no processes
    return [
        subprocess.Popen(
            [sys.executable, "-P", "-m", "frame_train"],
            env={**os.environ, "LOCAL_RANK": str(rank), DIRECTORY: str(directory), _PARENT: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            process_group=0,
        )
        for rank in range(1, strategy.num_processes)
    ]


def _watch(workers: Sequence[Worker], trainer: Trainer, on_loss: Callable[[], None], is_over: threading.Event) -> None:
    """Exit all ranks if one is lost and rank 0 does not notice."""
    while not _find_lost(workers):
        if is_over.wait(0.5):
            return
    if is_over.wait(_PATIENCE) or trainer.interrupted:
        return
    print_error(_describe_lost(workers))
    on_loss()
    for worker in workers:
        worker.kill()
    os._exit(1)


def _wait(workers: Sequence[Worker], seconds: float) -> None:
    """Wait until all workers have exited, for at most some seconds."""
    end = time.monotonic() + seconds
    while any(worker.poll() is None for worker in workers) and time.monotonic() < end:
        time.sleep(0.02)


def _find_lost(workers: Sequence[Worker]) -> dict[int, int]:
    """Return the exit code of each rank that failed."""
    codes = {rank: worker.poll() for rank, worker in enumerate(workers, start=1)}
    return {rank: code for rank, code in codes.items() if code}


def _describe_lost(workers: Sequence[Worker]) -> str:
    n_ranks = len(workers) + 1
    lost = _find_lost(workers).items()
    return " ".join(f"Rank {rank} of {n_ranks} exited with code {code}." for rank, code in lost)
