"""Checks of the options that an evaluation is given."""

from typing import Any


def check_count(name: str, count: Any) -> int:
    """Give back a number of things that is a positive integer.

    Raises:
        TypeError: It is no integer.
        ValueError: It is not positive.
    """
    if not isinstance(count, int):
        raise TypeError(f"`{name}` must be an integer, got {count!r}.")
    if count < 1:
        raise ValueError(f"`{name}` must be positive, got {count!r}.")
    return count
