"""Rank of this process, and exchange of the run directory between ranks.

Rank 0 creates the run. `train trainer.devices=2` starts the worker ranks itself; `torchrun` starts all ranks. In both
cases, the worker ranks receive the run directory from rank 0, and everything else from the files in it.
"""

import contextlib
import os
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, open_dict

DIRECTORY = "FRAME_RUN_DIRECTORY"
"""Environment variable with the run directory, set by rank 0 for the worker ranks that it starts."""

_PATIENCE = timedelta(days=7)  # rank 0 may have to download a data set


def is_worker() -> bool:
    """Return whether this process is a worker rank."""
    return DIRECTORY in os.environ or (is_under_torchrun() and os.environ["RANK"] != "0")


def is_under_torchrun() -> bool:
    """Return whether `torchrun` started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_restarted() -> bool:
    """Return whether `torchrun` restarted the processes after one was lost."""
    return is_under_torchrun() and int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def may_restart() -> bool:
    """Return whether `torchrun` restarts the processes if one is lost."""
    return is_under_torchrun() and os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0") != "0"


def name_launch() -> str | None:
    """Return an identifier of the `torchrun` that started this process, which survives restarts; None without one."""
    return f"{os.environ['TORCHELASTIC_RUN_ID']}/{os.getppid()}" if is_under_torchrun() else None


def set_process_counts(config: DictConfig) -> None:
    """Set the numbers of devices and nodes in a config to those of `torchrun`."""
    if is_under_torchrun():
        n_here, n_all = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
        with open_dict(config):
            config.trainer.update(devices=n_here, num_nodes=n_all // n_here)


@contextlib.contextmanager
def releasing_workers() -> Generator[None]:
    """Release the worker ranks that wait under `torchrun` at the end, even if no run was created."""
    try:
        yield
    finally:
        if is_under_torchrun() and not (store := _open_store()).check([_name_key()]):
            store.set(_name_key(), "")


def publish_directory(directory: Path) -> Any:
    """Send the run directory to the ranks that wait under `torchrun`, and return the store in which all ranks connect.

    `torchrun` keeps one store across restarts, with the addresses of the lost processes. A rank that reads one of them
    waits for a process that no longer exists. So rank 0 serves an empty store for each start.

    Returns:
        The store, which is served while a reference to it exists; None without `torchrun`.
    """
    if not is_under_torchrun():
        return None
    from torch.distributed import TCPStore  # pyright: ignore[reportPrivateImportUsage]  # imported only where needed

    store = TCPStore(os.environ["MASTER_ADDR"], 0, is_master=True, wait_for_workers=False, multi_tenant=True)
    _open_store().set(_name_key(), f"{store.port} {directory}")
    os.environ["MASTER_PORT"] = str(store.port)
    return store


def wait_for_directory() -> Path | None:
    """Wait for rank 0, and return the run directory that it created; None if it created none."""
    if DIRECTORY in os.environ:
        return Path(os.environ[DIRECTORY])
    port, _, directory = _open_store().get(_name_key()).decode().partition(" ")
    os.environ["MASTER_PORT"] = port
    return Path(directory) if directory else None


def _open_store() -> Any:
    """Open the store of `torchrun`, which its processes share."""
    from torch.distributed.rendezvous import rendezvous  # torch is imported only where needed

    store, _, _ = next(rendezvous("env://", timeout=_PATIENCE))
    return store


def _name_key() -> str:
    return f"{DIRECTORY}/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
