"""Positions of numbers on an axis, and their text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

_LEAST, _GREATEST = 1e-290, 1e300  # beyond these bounds, the width of an axis underflows or overflows


@dataclass(frozen=True)
class Scale:
    """An axis with the values ``low`` to ``high`` at the positions ``start`` to ``end``."""

    low: float
    high: float
    start: float = 0.0
    end: float = 1.0

    @classmethod
    def covering(cls, low: float, high: float, margin: float = 0.05) -> Self:
        """Return an axis that is slightly wider than a range, even if the range is a single value."""
        low, high = (min(_GREATEST, max(-_GREATEST, bound)) for bound in (low, high))
        size = max(abs(low), abs(high))
        if high - low <= max(1e-9 * size, _LEAST):
            width = 0.1 * size if size > _LEAST else 1.0
            return cls(low - width, high + width)
        return cls(low - margin * (high - low), high + margin * (high - low))

    def drawn(self, start: float, end: float) -> "Scale":
        """Return the same axis at other positions."""
        return Scale(self.low, self.high, start, end)

    def place(self, value: float) -> float:
        """Return the position of a value. A value far outside the axis is just beyond its end."""
        fraction = min(2.0, max(-1.0, (value - self.low) / (self.high - self.low)))
        return round(self.start + fraction * (self.end - self.start), 1)

    def ticks(self, at_most: int = 6) -> list[tuple[float, str]]:
        """Return round values inside the axis, with their labels."""
        step = _round_up((self.high - self.low) / at_most)
        values = [index * step for index in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        return [(value, _format_tick(value, step, max(map(abs, values)))) for value in values]


def format_number(value: float) -> str:
    """Format a number with five significant digits."""
    return f"{value:.5g}" if math.isfinite(value) else {math.inf: "∞", -math.inf: "-∞"}.get(value, "NaN")


def format_duration(seconds: float) -> str:
    """Format a duration in its two largest units.

    >>> format_duration(3725)
    '1 h 2 min'
    """
    minutes, whole_seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (whole_seconds, "s")]
    first = next((index for index, (count, _) in enumerate(units) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2] if count) or "0 s"


def quantiles(values: Sequence[float], tail: float) -> tuple[float, float]:
    """Return the bounds that exclude the fraction ``tail`` of the values on each side."""
    ordered = sorted(values)
    outside = int(tail * len(ordered))
    return ordered[outside], ordered[-1 - outside]


def _round_up(step: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is at least the step."""
    power = 10.0 ** math.floor(math.log10(step))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= step), 10 * power)


def _format_tick(value: float, step: float, greatest: float) -> str:
    if step >= 1e-4 and greatest < 1e6:
        return f"{value:,.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"
    if value == 0:
        return "0"
    digits = max(0, math.floor(math.log10(abs(value)) + 1e-9) - math.floor(math.log10(step) + 1e-9))
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return f"{mantissa}e{int(exponent)}"
