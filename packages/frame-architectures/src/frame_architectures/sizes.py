"""Checks of the sizes that an architecture is given."""

from collections.abc import Sequence
from typing import Any


def check_size(name: str, size: Any) -> int:
    """Give back a size that is a positive integer.

    Raises:
        TypeError: It is no integer.
        ValueError: It is not positive.
    """
    if not isinstance(size, int):
        raise TypeError(f"`{name}` must be an integer, got {size!r}.")
    if size < 1:
        raise ValueError(f"`{name}` must be positive, got {size!r}.")
    return size


def check_sizes(name: str, sizes: Any) -> tuple[int, ...]:
    """Give back, as a tuple, a sequence of sizes that are positive integers.

    Raises:
        TypeError: It is no sequence, or one of them is no integer.
        ValueError: One of them is not positive.
    """
    if isinstance(sizes, str) or not isinstance(sizes, Sequence):
        raise TypeError(f"`{name}` must be a sequence of integers, got {sizes!r}.")
    return tuple(check_size(f"{name}[{index}]", size) for index, size in enumerate(sizes))
