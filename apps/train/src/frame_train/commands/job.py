"""One job of a grid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass
class Job:
    """One job of a grid: its overrides, the last value of every metric once it has ended well, how it did not."""

    overrides: Sequence[str]
    last_values: Mapping[str, float] | None = None
    crashed: bool = False
