import argparse
from typing import Any

from hydra._internal.utils import get_args_parser

from frame_train.composition.command_line import flags


def describe(parser: argparse.ArgumentParser) -> dict[str, tuple[Any, ...]]:
    """Return, for each flag, whether it takes a value, and its choices."""
    actions = [action for action in parser._actions if action.option_strings]
    return {flag: (action.nargs, sorted(action.choices or ())) for action in actions for flag in action.option_strings}


def test_the_flags_of_hydra_are_those_of_its_own_parser() -> None:
    assert describe(flags._make_hydra_parser()) == describe(get_args_parser())
