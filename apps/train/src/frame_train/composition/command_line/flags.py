"""Flags of the commands `train` and `evaluate`."""

import argparse
import re
from collections.abc import Sequence

from frame_train.composition.command_line.overrides import is_override
from frame_train.composition.compose import compose_what_can_be
from frame_train.composition.objects import iterate_keys, suggest_key
from frame_train.composition.options import find_groups
from frame_train.composition.settings import IS_HYDRA_1_3, config_directory
from frame_train.errors import CompositionError, suggest

_FIXED = ("--config-name", "-cn", "--config-path", "-cp")
"""Flags of Hydra that would replace our own config."""

_INFO = [*([] if IS_HYDRA_1_3 else ["aliases"]), "all", "config", "defaults", "defaults-tree", "plugins", "searchpath"]
_RARE = ("--run", "-r", "--experimental-rerun", "--shell-completion", "-sc")
"""Flags of Hydra that are never suggested."""


def take_flags(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Split a command line into the flags of `train`, and the arguments of Hydra.

    Returns:
        The flags ``help``, ``check``, ``check_all``, ``json``, ``schema``, ``list`` (a group; empty for all, None if
        absent), ``compatible_with``, ``copy`` (an experiment and a folder), ``search`` (a file; empty without one),
        ``version``, ``traceback``; and the other arguments.

    Raises:
        CompositionError: A flag belongs neither to `train` nor to Hydra.
    """
    parser = _make_parser("train")
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--check-all", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--schema", action="store_true")
    parser.add_argument("--list", nargs="?", const="", metavar="GROUP")
    parser.add_argument("--compatible-with", metavar="GROUP=OPTION")
    parser.add_argument("--copy", nargs=2, metavar=("EXPERIMENT", "FOLDER"))
    parser.add_argument("--version", action="store_true")
    parser.add_argument("--search", nargs="?", const="", metavar="FILE")
    parser.add_argument("--traceback", action="store_true")
    return _parse(parser, arguments)


def take_evaluation_flags(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Split a command line into the flags of `evaluate`, and the arguments of Hydra.

    Returns:
        The flags ``diff`` (two runs), ``list``, ``check``, ``version`` and ``traceback``; and the other arguments.

    Raises:
        CompositionError: A flag belongs neither to `evaluate` nor to Hydra.
    """
    parser = _make_parser("evaluate")
    parser.add_argument("--diff", nargs="*", metavar="RUN")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("--traceback", action="store_true")
    return _parse(parser, arguments)


def _make_parser(command: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(command, add_help=False, allow_abbrev=False, exit_on_error=False)


def _parse(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Take the flags of a parser, and check those of Hydra, whose own parser would print its usage."""
    hydra = _make_hydra_parser()
    try:
        flags, rest = parser.parse_known_args(arguments)
        known = [flag for flag in _list_flags(parser, hydra) if flag not in _FIXED]
        for index, word in enumerate(rest):
            flag = word.partition("=")[0]
            if re.match("-[a-zA-Z-]", flag) and flag not in known:
                values = [word.partition("=")[2]] if "=" in word else rest[index + 1 : index + 2]
                raise CompositionError(_explain_unknown(flag, "".join(values), known, rest, parser.prog))
        hydra.parse_known_args([word for word in rest if not is_override(word)])
    except argparse.ArgumentError as error:
        problem = error.message.replace("ignored explicit argument", "takes no value, got")
        raise CompositionError(f"`{error.argument_name}`: {problem}. `--help` shows how to use it.") from error
    return flags, rest


def _make_hydra_parser() -> argparse.ArgumentParser:
    """Return a parser of the flags of Hydra."""
    parser = _make_parser("hydra")
    for flags in (["--help", "-h"], ["--hydra-help"], ["--resolve"], ["--run", "-r"], ["--multirun", "-m"]):
        parser.add_argument(*flags, action="store_true")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("--shell-completion", "-sc", action="store_true")
    parser.add_argument("--cfg", "-c", choices=["job", "hydra", "all"])
    parser.add_argument("--info", "-i", nargs="?", choices=_INFO)
    for flags in (["--package", "-p"], ["--config-path", "-cp"], ["--config-name", "-cn"], ["--config-dir", "-cd"]):
        parser.add_argument(*flags)
    parser.add_argument("--experimental-rerun")
    return parser


def _list_flags(*parsers: argparse.ArgumentParser) -> list[str]:
    actions = [action for parser in parsers for action in parser._actions]  # pyright: ignore[reportPrivateUsage]
    return [flag for action in actions for flag in action.option_strings]


def _explain_unknown(flag: str, value: str, known: Sequence[str], arguments: Sequence[str], command: str) -> str:
    """Explain that a flag does not exist; if it has the name of a key, show how to set that key."""
    value = "…" if not value or value.startswith("-") or is_override(value) else value
    if flag in ("--config-path", "-cp"):
        return f"`{flag}` can't be set. `--config-dir={value}` adds a folder of your own config files."
    if flag in _FIXED:
        return f"`{flag}` can't be set. An experiment is an option: `+experiment={value}`."
    nearest = suggest(flag, [name for name in known if name not in _RARE])
    name = flag.lstrip("-").replace("-", "_")
    key = _find_key(name, arguments, command)
    if key and (not nearest or key.rpartition(".")[2] == name):
        meant = f"+experiment={value}" if key == "experiment" else f"{key}={value}"
        return f"There is no flag `{flag}`. Keys have no dashes: did you mean `{meant}`?"
    return f"There is no flag `{flag}`.{nearest} Keys are written `key=value`."


def _find_key(name: str, arguments: Sequence[str], command: str) -> str:
    """Return the key that a flag names, in full or by its last part; empty if there is none."""
    if command == "evaluate":
        return name if name in ("run", "weights", "allow", "evaluation", "device") else ""
    if name == "resume" or name in find_groups([config_directory()]):
        return name
    config, _ = compose_what_can_be([word for word in arguments if is_override(word)])
    keys = list(iterate_keys(config))
    if name in keys:
        return name
    match = re.search(r"Did you mean `(.+)`", suggest_key(f"-.{name}", keys))
    return match[1] if match else ""
