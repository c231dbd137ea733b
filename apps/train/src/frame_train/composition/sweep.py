"""What the agent of a W&B sweep hands to a run."""

import os
from collections.abc import Sequence
from typing import Any, cast

from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import OmegaConf


def quote_swept_values(arguments: Sequence[str]) -> list[str]:
    """Write the values that a sweep chose in Hydra's grammar.

    The agent of a sweep gives each as ``key=value``, as Python prints it, where a comma or a quote would
    mean something to Hydra. It also writes them to a file, whose name it gives in a variable: they are read
    from there, as an option file is, so a swept ``${key}`` is a reference and ``1e-3`` a number.
    """
    values = _read_swept_values()
    return [_quote(argument, values) for argument in arguments]


def _read_swept_values() -> dict[str, Any]:
    path = os.environ.get("WANDB_SWEEP_PARAM_PATH")
    if path is None:
        return {}
    content = cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(path), resolve=False))
    return {key: entry["value"] for key, entry in content.items() if key != "wandb_version"}


def _quote(argument: str, values: dict[str, Any]) -> str:
    name, equals, _ = argument.partition("=")
    key = name.lstrip("+")
    return f"{name}={_write(values[key])}" if equals and key in values else argument


def _write(value: Any) -> str:
    match value:
        case None:
            return "null"
        case str():
            return QuotedString(value, Quote.single).with_quotes()
        case list():
            return f"[{','.join(_write(item) for item in value)}]"
        case dict():
            return f"{{{','.join(f'{key}:{_write(item)}' for key, item in value.items())}}}"
        case _:
            return str(value)
