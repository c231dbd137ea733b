"""Checks of constructor arguments."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from math import inf
from typing import Any


def suggest(name: str, choices: Iterable[str]) -> str:
    """Return `` Did you mean `x`?`` for the choice most similar to a name, whatever its case; empty if none is."""
    by_lower = {choice.lower(): choice for choice in choices}
    nearest = get_close_matches(str(name).lower(), by_lower, n=1)
    return f" Did you mean `{by_lower[nearest[0]]}`?" if nearest else ""


def check_choice(name: str, choice: str, choices: Iterable[str]) -> str:
    """Return ``choice`` if it is one of the choices.

    Raises:
        ValueError: ``choice`` is not one of the choices. The message lists them and suggests the nearest.
    """
    known = list(choices)
    if choice not in known:
        listed = ", ".join(map(repr, known))
        raise ValueError(f"`{name}` must be one of {listed}, got {choice!r}.{suggest(choice, known)}")
    return choice


def check_count(name: str, count: Any, minimum: int = 1) -> int:
    """Return ``count`` if it is an integer of at least ``minimum`` that a tensor can hold.

    Raises:
        TypeError: ``count`` is not an integer.
        ValueError: ``count`` is less than ``minimum``, or does not fit in 64 bits.
    """
    if not isinstance(count, int):
        raise TypeError(f"`{name}` must be an integer, got {count!r}.")
    if count < minimum:
        expectation = "positive" if minimum == 1 else f"at least {minimum}"
        raise ValueError(f"`{name}` must be {expectation}, got {count!r}.")
    if count >= 2**63:
        raise ValueError(f"`{name}` must be less than 2**63, got {count!r}.")
    return count


def check_positive(name: str, number: Any) -> float:
    """Return ``number`` if it is positive and finite.

    Raises:
        TypeError: ``number`` is not a number.
        ValueError: ``number`` is not positive, or not finite.
    """
    if not isinstance(number, int | float):
        raise TypeError(f"`{name}` must be a number, got {number!r}.")
    if not 0 < number < inf:  # rejects NaN, too
        raise ValueError(f"`{name}` must be positive and finite, got {number!r}.")
    return number


def check_sizes(name: str, sizes: Any) -> tuple[int, ...]:
    """Return a sequence of positive integers as a tuple.

    Raises:
        TypeError: ``sizes`` is not a sequence, or an entry is not an integer.
        ValueError: An entry is not positive.
    """
    if isinstance(sizes, str) or not isinstance(sizes, Sequence):
        raise TypeError(f"`{name}` must be a sequence of integers, got {sizes!r}.")
    return tuple(check_count(f"{name}[{index}]", size) for index, size in enumerate(sizes))
