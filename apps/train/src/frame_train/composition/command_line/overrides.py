"""Overrides of the commands `train` and `evaluate`."""

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import OmegaConf

from frame_train.composition.legacy import RENAMED_KEYS
from frame_train.composition.settings import config_directory
from frame_train.errors import CompositionError, suggest

_DEFAULT_GROUPS = ("logging", "device")  # groups that have an option in `train.yaml`
_ADDED_GROUPS = ("experiment", "debug")  # groups that have none; `debug` changes an experiment, and follows it

_EVALUATION_KEYS = ("run", "weights", "allow", "evaluation", "device", "trainer", "hydra")


def normalize_overrides(arguments: Sequence[str]) -> list[str]:
    """Return the arguments in the form that Hydra expects: flags first, each override with the right prefix.

    Hydra accepts ``key=value`` only for an existing key, and ``+key=value`` only for a new one. The same is true for
    groups of the defaults list. Here, ``+key=value`` works for both. So does ``trainer.key=value``, because its keys
    are the arguments of the Trainer. ``experiment=X`` means ``+experiment=X``, and ``debug=X`` means ``+debug=X``,
    after the experiment. Values of a sweep are quoted, and so are texts with letters that are not in ASCII.

    >>> normalize_overrides(["experiment=MNIST_VAE", "+params.beta=1", "trainer.max_epochs=3"])
    ['+experiment=MNIST_VAE', '++params.beta=1', '++trainer.max_epochs=3']
    """
    folders = [config_directory(), *own_folders(arguments)]
    ordered = sorted(_quote_swept_values(arguments), key=lambda word: (is_override(word), _is_debug(word)))
    return [_normalize(argument, folders) for argument in ordered]


def normalize_evaluation_overrides(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of `evaluate` in the form that Hydra expects: flags first, then overrides.

    A path may contain any character. An override may set a value of an evaluation in the stored config.

    Raises:
        CompositionError: `evaluate` has no such key.

    >>> normalize_evaluation_overrides(["run=it's mine", "evaluation=elbo", "device.data_root=~/数据"])
    ["run='it\\\\'s mine'", '+evaluation=elbo', "device.data_root='~/数据'"]
    """
    return [_normalize_for_evaluation(argument) for argument in sorted(arguments, key=is_override)]


def write_value(value: Any) -> str:
    """Write a value in Hydra's grammar."""
    match value:
        case None:
            return "null"
        case str():
            return QuotedString(value, Quote.single).with_quotes()
        case list():
            return f"[{','.join(map(write_value, cast(list[Any], value)))}]"
        case dict():
            items = cast(dict[Any, Any], value).items()
            return f"{{{','.join(f'{key}:{write_value(item)}' for key, item in items)}}}"
        case _:
            return str(value)


def is_override(argument: str) -> bool:
    """Return whether an argument is an override, and not a flag or the value of a flag."""
    return re.match(r"~|[+\w./@]+=", argument) is not None


def is_multirun(arguments: Sequence[str]) -> bool:
    """Return whether a command line starts a grid."""
    return bool({"-m", "--multirun", "hydra.mode=MULTIRUN"}.intersection(arguments))


def _is_debug(argument: str) -> bool:
    return argument.lstrip("+").startswith("debug=")


def _normalize(argument: str, folders: Sequence[Path]) -> str:
    match = re.fullmatch(r"(\+*)([\w./@]+)(=.*)", argument, flags=re.DOTALL)
    if match is None:
        return argument
    plus, key, value = match.groups()
    group = key.partition("@")[0]
    if any((folder / group).is_dir() for folder in folders):
        plus = "" if group in _DEFAULT_GROUPS else "+" if group in _ADDED_GROUPS else plus[:1]
    elif plus or key.startswith("trainer.") or key in RENAMED_KEYS:
        plus = "++"
    return f"{plus}{key}={_quote_text(value[1:])}"


def _quote_text(value: str) -> str:
    """Quote a plain text with a character that Hydra allows only in quotes, such as ``日本語`` or ``~/a``."""
    is_plain = re.search(r"['\"\[\]{}(),$\\]", value) is None
    return write_value(value) if is_plain and re.search(r"[^\x00-\x7f]|[~=#!;&<>^`]", value) else value


def _normalize_for_evaluation(argument: str) -> str:
    match = re.fullmatch(r"(\+*|~)([\w./@]+)(=.*)?", argument, flags=re.DOTALL)
    if match is None or not is_override(argument):
        return argument
    prefix, key, value = match.groups()
    head = re.split(r"[.@]", key)[0]
    if head not in _EVALUATION_KEYS:
        raise CompositionError(
            f"`evaluate` has no key `{key}`, only {', '.join(f'`{name}`' for name in _EVALUATION_KEYS[:-1])}. "
            f"Everything else comes from the run.{suggest(head, _EVALUATION_KEYS)}"
        )
    if prefix == "~" or value is None:
        return argument
    if key in ("run", "weights"):
        is_quoted = value[1:2] in ("'", '"')
        return f"{key}={value[1:] if is_quoted else write_value(value[1:])}"
    plus = "+" if key == "evaluation" else "++" if head in ("evaluation", "trainer") else ""
    return f"{plus}{key}={_quote_text(value[1:])}"


def own_folders(arguments: Sequence[str]) -> list[Path]:
    """List the config folders given by ``--config-dir``."""
    return split_folders(arguments)[0]


def split_folders(arguments: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Split a command line into the config folders given by ``--config-dir``, and the other arguments."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir", "-cd", action="append", nargs="?", const="", default=[])
    flags, others = parser.parse_known_args(arguments)
    return list(map(Path, flags.config_dir)), others


def _quote_swept_values(arguments: Sequence[str]) -> list[str]:
    """Write the values of a sweep in Hydra's grammar.

    The agent of a W&B sweep passes ``key=value`` with the value as Python prints it. A comma or a quote in it would
    have a meaning for Hydra. The agent also writes the values to a file that an environment variable names. They are
    read from it as from a config file: a swept ``${key}`` is a reference, and ``1e-3`` is a number.
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
    return f"{name}={write_value(values[key])}" if equals and key in values else argument
