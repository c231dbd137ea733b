"""Check of the parameters that an evaluation passes to a method."""

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any


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
