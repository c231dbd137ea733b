"""Checks of the options that an evaluation is given."""

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from math import inf
from typing import Any


def check_positive(name: str, number: Any) -> float:
    """Give back a number that is positive and finite.

    Raises:
        TypeError: It is no number.
        ValueError: It is not positive, or not finite.
    """
    if not isinstance(number, int | float):
        raise TypeError(f"`{name}` must be a number, got {number!r}.")
    if not 0 < number < inf:  # also refuses NaN
        raise ValueError(f"`{name}` must be positive and finite, got {number!r}.")
    return number


def check_params(name: str, params: Mapping[str, Any], method: Callable[..., Any]) -> None:
    """Check that a method takes parameters by these names, behind its first one.

    Raises:
        TypeError: It does not.
    """
    accepted = list(signature(method).parameters.values())[1:]
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in accepted):
        return
    choices = [parameter.name for parameter in accepted]
    for param in params:
        if param not in choices:
            raise TypeError(
                f"`{name}` must be of {', '.join(map(repr, choices))}, the parameters of `{method.__qualname__}`, "
                f"got {param!r}."
            )
