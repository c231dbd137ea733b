"""Numbers that change during training."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Schedule(nn.Module, ABC):
    """A number that a model uses in its loss, and that the optimization module advances.

    It is a module with a buffer: its value is in the state dict of the model that holds it, and on the
    model's device.

    Args:
        over: Duration, such as ``"5 epochs"``. The optimization module reads it.
    """

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
        over: Duration, such as ``"5 epochs"``.

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
        over: Duration, such as ``"5 epochs"``.

    Raises:
        ValueError: ``start`` or ``end`` is not positive.

    >>> beta = ExponentialWarmup(start=0.01, end=1.0, over="5 epochs")
    >>> beta.advance_to(0.5)
    >>> beta()
    tensor(0.1000)
    """

    def __init__(self, start: float, end: float, over: str) -> None:
        self._start = _check_positive("start", start)
        self._end = _check_positive("end", end)
        super().__init__(over)

    def compute_value(self, fraction: float) -> float:
        passed = min(max(fraction, 0.0), 1.0)
        return self._start ** (1 - passed) * self._end**passed

    def extra_repr(self) -> str:
        return f"start={self._start}, end={self._end}, over={self.over!r}"


def get_value(number: float | Schedule) -> float | Tensor:
    """Return a number, or the current value of a schedule."""
    return number() if isinstance(number, Schedule) else number


def check_non_negative(name: str, number: float | Schedule) -> float | Schedule:
    """Return a number or a schedule if it is not negative.

    A schedule is checked at its start, halfway and at its end.

    Raises:
        TypeError: ``number`` is neither a number nor a schedule.
        ValueError: ``number`` is negative or NaN.
    """
    if not isinstance(number, int | float | Schedule):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"`{name}` must be a number or a schedule, got {number!r}.")
    values = [number.compute_value(part) for part in (0.0, 0.5, 1.0)] if isinstance(number, Schedule) else [number]
    if not all(value >= 0 for value in values):  # rejects NaN, too
        raise ValueError(f"`{name}` must be non-negative, got {number!r}.")
    return number


def _check_positive(name: str, number: float) -> float:
    if not number > 0:  # rejects NaN, too
        raise ValueError(f"`{name}` must be positive, got {number!r}.")
    return number
