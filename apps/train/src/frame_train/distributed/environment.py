"""The processes of one training: the first makes the run, the others follow it.

`train trainer.devices=2` starts the others itself; under `torchrun` all are started alike. Either way those that follow
learn the directory of the run from the first, and all else from what is in that directory.
"""

import contextlib
import os
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, open_dict

DIRECTORY = "FRAME_RUN_DIRECTORY"
"""The variable in which a process that the first one has started finds the directory."""

_PATIENCE = timedelta(days=7)  # the first one may have data to download


def is_follower() -> bool:
    """Say whether this process follows another one."""
    return DIRECTORY in os.environ or (is_under_torchrun() and os.environ["RANK"] != "0")


def is_under_torchrun() -> bool:
    """Say whether `torchrun` has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_restarted() -> bool:
    """Say whether `torchrun` starts the processes once more, because one had been lost."""
    return is_under_torchrun() and int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def may_restart() -> bool:
    """Return whether `torchrun` restarts the processes if one is lost."""
    return is_under_torchrun() and os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0") != "0"


def name_launch() -> str | None:
    """Name what has started this process, the same when `torchrun` starts it once more; None where that is nobody."""
    return f"{os.environ['TORCHELASTIC_RUN_ID']}/{os.getppid()}" if is_under_torchrun() else None


def take_numbers(config: DictConfig) -> None:
    """Let a config say how many processes there are, where `torchrun` has decided it."""
    if is_under_torchrun():
        n_here, n_all = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
        with open_dict(config):
            config.trainer.update(devices=n_here, num_nodes=n_all // n_here)


@contextlib.contextmanager
def leading() -> Generator[None]:
    """Let the processes that wait under `torchrun` go when the command is over, also where it has made no run."""
    try:
        yield
    finally:
        if is_under_torchrun() and not (store := _open_store()).check([_name_key()]):
            store.set(_name_key(), "")


def tell_directory(directory: Path) -> Any:
    """Report the run to the ranks that wait under `torchrun`, and return the store in which all ranks connect.

    `torchrun` keeps one store across restarts. It still holds the addresses of the lost processes, and a rank that
    reads one of them waits for a process that is gone. Rank 0 therefore serves an empty store for each start.

    Returns:
        The store, which is served as long as it is referred to; None without `torchrun`.
    """
    if not is_under_torchrun():
        return None
    from torch.distributed import TCPStore  # pyright: ignore[reportPrivateImportUsage]  # imported only where needed

    store = TCPStore(os.environ["MASTER_ADDR"], 0, is_master=True, wait_for_workers=False, multi_tenant=True)
    _open_store().set(_name_key(), f"{store.port} {directory}")
    os.environ["MASTER_PORT"] = str(store.port)
    return store


def wait_for_directory() -> Path | None:
    """Return the directory of the run to follow, once it is made; None if the first process makes none."""
    if DIRECTORY in os.environ:
        return Path(os.environ[DIRECTORY])
    port, _, directory = _open_store().get(_name_key()).decode().partition(" ")
    os.environ["MASTER_PORT"] = port
    return Path(directory) if directory else None


def _open_store() -> Any:
    """Open what `torchrun` has for its processes to find one another."""
    from torch.distributed.rendezvous import rendezvous  # torch is imported only where needed

    store, _, _ = next(rendezvous("env://", timeout=_PATIENCE))
    return store


def _name_key() -> str:
    return f"{DIRECTORY}/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
