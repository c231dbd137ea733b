"""Checks of the sizes that an architecture is given."""

from collections.abc import Sequence
from typing import Any

from frame_core import check_count


def check_sizes(name: str, sizes: Any) -> tuple[int, ...]:
    """Give back, as a tuple, a sequence of sizes that are positive integers.

    Raises:
        TypeError: It is no sequence, or one of them is no integer.
        ValueError: One of them is not positive.
    """
    if isinstance(sizes, str) or not isinstance(sizes, Sequence):
        raise TypeError(f"`{name}` must be a sequence of integers, got {sizes!r}.")
    return tuple(check_count(f"{name}[{index}]", size) for index, size in enumerate(sizes))
