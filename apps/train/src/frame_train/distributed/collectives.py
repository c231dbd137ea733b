"""Collectives across the ranks of a training."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from pytorch_lightning import Trainer
from torch import distributed

_PATIENCE = timedelta(days=7)
_Value = TypeVar("_Value")


class Collectives:
    """Collectives across the ranks of a training; no-ops in a single process.

    They use their own process group on the CPU (gloo), so that no rank waits for a device. Its timeout is long enough
    for an evaluation on rank 0. Every rank must call the same methods in the same order.
    """

    def __init__(self) -> None:
        self._group: Any = None
        self._time = 0.0

    def connect(self) -> None:
        """Create the group if there are several ranks, and synchronize the clock."""
        if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
            self._group = distributed.new_group(backend="gloo", timeout=_PATIENCE)
            self.broadcast(None)

    def disconnect(self) -> None:
        """Leave the group, which may have lost ranks."""
        self._group = None

    def read_clock(self) -> float:
        """Return the seconds of a monotonic clock; with several ranks, rank 0's at the latest synchronization."""
        return time.monotonic() if self._group is None else self._time

    def compute_maximum(self, number: int) -> int:
        """Return the maximum of a number over the ranks, and synchronize the clock."""
        if self._group is None:
            return number
        now = time.monotonic() if distributed.get_rank() == 0 else 0.0
        values = torch.tensor([number, now], dtype=torch.float64)
        distributed.all_reduce(values, distributed.ReduceOp.MAX, group=self._group)
        self._time = values[1].item()
        return int(values[0].item())

    def compute_means(self, numbers: Sequence[float]) -> list[float]:
        """Return the means of numbers over the ranks."""
        if self._group is None:
            return list(numbers)
        values = torch.tensor(numbers, dtype=torch.float64)
        distributed.all_reduce(values, group=self._group)
        return (values / distributed.get_world_size()).tolist()

    def broadcast(self, value: _Value) -> _Value:
        """Return the value of rank 0, and synchronize the clock."""
        if self._group is None:
            return value
        values: list[Any] = [value, time.monotonic()]
        distributed.broadcast_object_list(values, src=0, group=self._group)
        first, self._time = values
        return first

    def gather(self, value: _Value) -> list[_Value]:
        """Return the values of all ranks, in order."""
        if self._group is None:
            return [value]
        values: list[Any] = [None] * distributed.get_world_size()
        distributed.all_gather_object(values, value, group=self._group)
        return values

    def select_own(self, values: Sequence[_Value]) -> _Value | None:
        """Return this rank's value among gathered ones; None if another number of ranks gathered them."""
        rank, n_ranks = (0, 1) if self._group is None else (distributed.get_rank(), distributed.get_world_size())
        return values[rank] if len(values) == n_ranks else None


def get_collectives(trainer: Trainer) -> Collectives:
    """Return the collectives that a callback of a trainer holds, or those of a single process if none does."""
    callbacks = cast(Sequence[Any], cast(Any, trainer).callbacks)
    held = (getattr(callback, "collectives", None) for callback in callbacks)
    return next((collectives for collectives in held if isinstance(collectives, Collectives)), Collectives())
