"""Check of the parameters that an evaluation passes to a method."""

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any


def check_params(name: str, params: Mapping[str, Any], method: Callable[..., Any]) -> None:
    """Check that a method has parameters of the given names, not counting its first one.

    Raises:
        TypeError: The method has no parameter of one of the names.
    """
    accepted = list(signature(method).parameters.values())[1:]
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in accepted):
        return
    choices = [parameter.name for parameter in accepted]
    for param in params:
        if param not in choices:
            raise TypeError(
                f"`{name}` must have keys among {', '.join(map(repr, choices))}, the parameters of "
                f"`{method.__qualname__}`, got {param!r}."
            )
