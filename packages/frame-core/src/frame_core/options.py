"""Checks of the options that a component is given."""

from typing import Any


def check_count(name: str, count: Any, minimum: int = 1) -> int:
    """Give back a number of things that is an integer and large enough.

    Raises:
        TypeError: It is no integer.
        ValueError: It is less than the minimum.
    """
    if not isinstance(count, int):
        raise TypeError(f"`{name}` must be an integer, got {count!r}.")
    if count < minimum:
        expectation = "positive" if minimum == 1 else f"at least {minimum}"
        raise ValueError(f"`{name}` must be {expectation}, got {count!r}.")
    return count
