"""Numbers that change during training."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from math import inf
from typing import ClassVar

import torch
from torch import Tensor, nn

from frame_core.checks import check_count, check_positive


class Schedule(nn.Module, ABC):
    """A number that a model uses in its loss, and that the optimization module advances.

    It is a module with a buffer: its value is in the state dict of the model that holds it, and on the
    model's device.

    Args:
        over: Duration, such as ``"5 epochs"``, or ``"training"`` for the length of the training. The optimization
            module reads it.
    """

    TRAINING: ClassVar[str] = "training"
    """The duration of a schedule that lasts as long as the training."""

    value: Tensor

    def __init__(self, over: str) -> None:
        super().__init__()
        self.over = over
        self.register_buffer("value", torch.tensor(float(self.compute_value(0.0))))

    @abstractmethod
    def compute_value(self, fraction: float) -> float:
        """Return the number at a fraction of ``over``: 0 at the start, 1 at the end, more than 1 afterwards."""

    def advance_to(self, fraction: float) -> None:
        """Set the value to the number at a fraction of ``over``."""
        self.value.fill_(self.compute_value(fraction))

    def forward(self) -> Tensor:
        return self.value


class LinearWarmup(Schedule):
    """Linear change from one number to another, constant afterwards.

    Args:
        start: The number at the start.
        end: The number after ``over``.
        over: Duration, such as ``"5 epochs"``, or ``"training"``.

    >>> beta = LinearWarmup(start=0.0, end=1.0, over="5 epochs")
    >>> beta.advance_to(0.5)
    >>> beta()
    tensor(0.5000)
    """

    def __init__(self, start: float, end: float, over: str) -> None:
        self._start = start
        self._end = end
        super().__init__(over)

    def compute_value(self, fraction: float) -> float:
        return self._start + (self._end - self._start) * min(max(fraction, 0.0), 1.0)

    def extra_repr(self) -> str:
        return f"start={self._start}, end={self._end}, over={self.over!r}"


class ExponentialWarmup(Schedule):
    """Exponential change from one positive number to another, constant afterwards.

    Args:
        start: The number at the start.
        end: The number after ``over``.
        over: Duration, such as ``"5 epochs"``, or ``"training"``.

    Raises:
        TypeError: ``start`` or ``end`` is not a number.
        ValueError: ``start`` or ``end`` is not positive and finite.

    >>> beta = ExponentialWarmup(start=0.01, end=1.0, over="5 epochs")
    >>> beta.advance_to(0.5)
    >>> beta()
    tensor(0.1000)
    """

    def __init__(self, start: float, end: float, over: str) -> None:
        self._start = check_positive("start", start)
        self._end = check_positive("end", end)
        super().__init__(over)

    def compute_value(self, fraction: float) -> float:
        passed = min(max(fraction, 0.0), 1.0)
        return self._start ** (1 - passed) * self._end**passed

    def extra_repr(self) -> str:
        return f"start={self._start}, end={self._end}, over={self.over!r}"


class PiecewiseLinear(Schedule):
    """Straight lines between given points, constant before the first and after the last.

    Two equal numbers delay a change: ``[[0, 0.0], [5, 0.0], [15, 1.0]]`` is 0 for the first five epochs.

    Args:
        points: Pairs of a position, in the given unit, and the number there.
        unit: Unit of the positions, such as ``"epochs"`` or ``"iterations"``.

    Raises:
        TypeError: A point is not a pair of numbers.
        ValueError: There are fewer than two points, or a position is negative or not greater than the one before it.

    >>> beta = PiecewiseLinear([[0, 0.0], [10, 1.0], [20, 0.5]], unit="epochs")
    >>> beta.advance_to(0.75)
    >>> beta()
    tensor(0.7500)
    """

    def __init__(self, points: Sequence[Sequence[float]], unit: str) -> None:
        try:
            self._points = [(float(position), float(number)) for position, number in points]
        except (TypeError, ValueError) as error:
            raise TypeError(f"`points` must be pairs of a position and a number, got {points!r}.") from error
        positions = [position for position, _ in self._points]
        if len(positions) < 2 or positions[0] < 0 or any(after <= before for before, after in pairwise(positions)):
            raise ValueError(f"`points` must have two or more positions, not negative and increasing, got {points!r}.")
        self._unit = unit
        super().__init__(f"{positions[-1]:f} {unit}")

    def compute_value(self, fraction: float) -> float:
        position = fraction * self._points[-1][0]
        for (start, first), (end, last) in pairwise(self._points):
            if position < end:
                return first + (last - first) * max(position - start, 0.0) / (end - start)
        return self._points[-1][1]

    def extra_repr(self) -> str:
        return f"points={self._points}, unit={self._unit!r}"


class CyclicWarmup(Schedule):
    """Several cycles, each with a linear change from one number to another that stays constant until the cycle ends.

    Args:
        start: The number at the start of each cycle.
        end: The number at the end of each cycle, and after ``over``.
        over: Duration of all cycles, such as ``"20 epochs"``, or ``"training"``.
        n_cycles: Number of cycles.
        rise: Fraction of a cycle in which the number changes.

    Raises:
        TypeError: ``n_cycles`` is not an integer.
        ValueError: ``n_cycles`` is not positive, or ``rise`` is not in (0, 1].

    References:
        Cyclical Annealing Schedule: A Simple Approach to Mitigating KL Vanishing (Fu et al., 2019),
        https://arxiv.org/abs/1903.10145

    >>> beta = CyclicWarmup(start=0.0, end=1.0, over="training", n_cycles=2)
    >>> beta.advance_to(0.625)
    >>> beta()
    tensor(0.5000)
    """

    def __init__(self, start: float, end: float, over: str, n_cycles: int = 4, rise: float = 0.5) -> None:
        if not 0 < rise <= 1:
            raise ValueError(f"`rise` must be greater than 0 and at most 1, got {rise!r}.")
        self._start = start
        self._end = end
        self._n_cycles = check_count("n_cycles", n_cycles)
        self._rise = rise
        super().__init__(over)

    def compute_value(self, fraction: float) -> float:
        passed = self._n_cycles * max(fraction, 0.0) % 1.0 if fraction < 1 else 1.0
        return self._start + (self._end - self._start) * min(passed / self._rise, 1.0)

    def extra_repr(self) -> str:
        return f"start={self._start}, end={self._end}, over={self.over!r}, n_cycles={self._n_cycles}, rise={self._rise}"


def get_value(number: float | Schedule) -> float | Tensor:
    """Return a number, or the current value of a schedule."""
    return number() if isinstance(number, Schedule) else number


def check_non_negative(name: str, number: float | Schedule) -> float | Schedule:
    """Return a number or a schedule if it is not negative.

    A schedule is checked at each hundredth of its duration.

    Raises:
        TypeError: ``number`` is neither a number nor a schedule.
        ValueError: ``number`` is negative or NaN.
    """
    if not all(value >= 0 for value in _list_values(name, number)):  # rejects NaN, too
        raise ValueError(f"`{name}` must be non-negative, got {number!r}.")
    return number


def check_above_zero(name: str, number: float | Schedule) -> float | Schedule:
    """Return a number or a schedule if it is positive and finite.

    A schedule is checked at each hundredth of its duration.

    Raises:
        TypeError: ``number`` is neither a number nor a schedule.
        ValueError: ``number`` is not positive, or not finite.
    """
    if not all(0 < value < inf for value in _list_values(name, number)):  # rejects NaN, too
        raise ValueError(f"`{name}` must be positive and finite, got {number!r}.")
    return number


def _list_values(name: str, number: float | Schedule) -> list[float]:
    """Return a number, or the numbers of a schedule at each hundredth of its duration."""
    if not isinstance(number, int | float | Schedule):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"`{name}` must be a number or a schedule, got {number!r}.")
    return [number.compute_value(part / 100) for part in range(101)] if isinstance(number, Schedule) else [number]
