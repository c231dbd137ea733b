"""Costs of contenders, as ratios with their spread."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles


@dataclass(frozen=True)
class Ratio:
    """A ratio of two medians, and the quartiles of the ratios of single rounds."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def compare(values: Sequence[float], base: Sequence[float]) -> Ratio:
    """Compare the costs of two contenders, round by round."""
    low, _, high = quantiles([value / other for value, other in zip(values, base, strict=True)], n=4)
    return Ratio(median(values) / median(base), low, high)
