"""What the processes of one training agree on; where there is one alone, it agrees with itself.

They talk over a group of their own, from memory to memory: no device is waited for, and nobody gives up while the first
process evaluates for an hour. Each function is called by all of them at the same place.
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


_state = _State()  # of this process, as torch's default group is


def begin() -> None:
    """Make the group, where there are several processes, and set their clock."""
    if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
        _state.group = distributed.new_group(backend="gloo", timeout=_PATIENCE)
        agree_on_first(None)


def end() -> None:
    """Leave the group."""
    _state.group = None


def tell_time() -> float:
    """Give the seconds of a clock that does not jump: with several processes, that of the first when they last met."""
    return time.monotonic() if _state.group is None else _state.time


def agree_on_greatest(number: int) -> int:
    """Give the greatest of the numbers that the processes have, and set their clock."""
    if _state.group is None:
        return number
    now = time.monotonic() if distributed.get_rank() == 0 else 0.0
    values = torch.tensor([number, now], dtype=torch.float64)
    distributed.all_reduce(values, distributed.ReduceOp.MAX, group=_state.group)
    _state.time = values[1].item()
    return int(values[0].item())


def agree_on_means(numbers: Sequence[float]) -> list[float]:
    """Give the means of the numbers over the processes."""
    if _state.group is None:
        return list(numbers)
    values = torch.tensor(numbers, dtype=torch.float64)
    distributed.all_reduce(values, group=_state.group)
    return (values / distributed.get_world_size()).tolist()


def agree_on_first(value: _Value) -> _Value:
    """Give what the first process has, and set their clock."""
    if _state.group is None:
        return value
    values: list[Any] = [value, time.monotonic()]
    distributed.broadcast_object_list(values, src=0, group=_state.group)
    first, _state.time = values
    return first


def gather(value: _Value) -> list[_Value]:
    """Give what each process has, in their order."""
    if _state.group is None:
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value, group=_state.group)
    return values


def take_own(values: Sequence[_Value]) -> _Value:
    """Give back what this process had when all were gathered."""
    return values[0 if _state.group is None else distributed.get_rank()]
