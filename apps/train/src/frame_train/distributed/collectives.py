"""Collectives across ranks; no-ops in a single process.

They use their own process group on the CPU (gloo), so that no rank waits for a device. Its timeout is long enough for
an evaluation on rank 0. Every rank must call the same functions in the same order.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed

_PATIENCE = timedelta(days=7)
_Value = TypeVar("_Value")


@dataclass
class _State:
    group: Any = None
    time: float = 0.0


_state = _State()  # one per process, like torch's default group


def begin() -> None:
    """Create the group if there are several ranks, and synchronize the clock."""
    if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
        _state.group = distributed.new_group(backend="gloo", timeout=_PATIENCE)
        agree_on_first(None)


def end() -> None:
    """Forget the group."""
    _state.group = None


def tell_time() -> float:
    """Return the seconds of a monotonic clock; with several ranks, rank 0's at the latest synchronization."""
    return time.monotonic() if _state.group is None else _state.time


def agree_on_greatest(number: int) -> int:
    """Return the maximum of a number over the ranks, and synchronize the clock."""
    if _state.group is None:
        return number
    now = time.monotonic() if distributed.get_rank() == 0 else 0.0
    values = torch.tensor([number, now], dtype=torch.float64)
    distributed.all_reduce(values, distributed.ReduceOp.MAX, group=_state.group)
    _state.time = values[1].item()
    return int(values[0].item())


def agree_on_means(numbers: Sequence[float]) -> list[float]:
    """Return the means of numbers over the ranks."""
    if _state.group is None:
        return list(numbers)
    values = torch.tensor(numbers, dtype=torch.float64)
    distributed.all_reduce(values, group=_state.group)
    return (values / distributed.get_world_size()).tolist()


def agree_on_first(value: _Value) -> _Value:
    """Return the value of rank 0, and synchronize the clock."""
    if _state.group is None:
        return value
    values: list[Any] = [value, time.monotonic()]
    distributed.broadcast_object_list(values, src=0, group=_state.group)
    first, _state.time = values
    return first


def gather(value: _Value) -> list[_Value]:
    """Return the values of all ranks, in order."""
    if _state.group is None:
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value, group=_state.group)
    return values


def take_own(values: Sequence[_Value]) -> _Value:
    """Return this rank's value among gathered ones."""
    return values[0 if _state.group is None else distributed.get_rank()]
