"""The command `evaluate`."""

import argparse
import os
import re
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

import hydra
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from frame_train.commands.exit_codes import run_reported, shows_traceback
from frame_train.commands.startup import defer_packages
from frame_train.composition.compose import prepare_hydra
from frame_train.composition.explanation import explained
from frame_train.composition.overrides import is_override
from frame_train.composition.settings import config_directory
from frame_train.console import print_error
from frame_train.errors import CompositionError, suggest
from frame_train.files import without_local_settings

_KEYS = ("run", "weights", "allow", "evaluation", "device", "trainer", "hydra")
_OWN_CODE = (
    "allow=",
    "--config-dir",
    "-cd",
)  # with these, the user's own classes in the current folder can be imported
_DELETION = "~evaluation."


def main() -> None:
    """Evaluate a run, or with ``--diff`` print the differences between two runs.

    After a mistake in the config, the exit code is 2. If an evaluation raises, the others still run, and the exit code
    is 1. ``--traceback`` shows where an error was raised.
    """
    defer_packages()
    if os.path.lexists("matplotlibrc"):  # in the current folder, which may be a foreign run
        with without_local_settings():
            import_module("matplotlib")
    show_traceback = shows_traceback()
    sys.exit(run_reported(lambda: _run(sys.argv[1:], show_traceback), show_traceback))


def _run(arguments: Sequence[str], show_traceback: bool) -> int:
    """Run the flag or the evaluation that the command line requests, and return the exit code."""
    flags, arguments = _take_flags(arguments)
    if any(argument.startswith(_OWN_CODE) for argument in arguments):
        sys.path.append(os.getcwd())  # after the installed packages, because the folder may be somebody else's run
    with explained(()):
        if flags.diff is None:
            return _compose_and_evaluate(_normalize_overrides(arguments), show_traceback)
        _print_differences(flags.diff)
        return 0


def _take_flags(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Split a command line into the flags that are not Hydra's, and the other arguments."""
    parser = argparse.ArgumentParser("evaluate", add_help=False, allow_abbrev=False)
    parser.add_argument("--diff", nargs="*", metavar="RUN")
    parser.add_argument("--traceback", action="store_true")
    return parser.parse_known_args(arguments)


def _print_differences(runs: Sequence[str]) -> None:
    if len(runs) != 2:
        raise CompositionError(f"`--diff` needs two runs, got {len(runs)}: `evaluate --diff RUN_A RUN_B`.")
    from frame_train.comparison.difference import compare_runs  # torch is imported only where needed
    from frame_train.terminal import print_differences

    print_differences(*compare_runs(runs))


def _compose_and_evaluate(arguments: Sequence[str], show_traceback: bool) -> int:
    prepare_hydra()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise its errors
    deletions = [argument for argument in arguments if argument.startswith(_DELETION)]  # also of the run's evaluations
    sys.argv[1:] = [argument for argument in arguments if argument not in deletions]

    @hydra.main(version_base="1.3", config_path=str(config_directory()), config_name="evaluate")
    def run(config: DictConfig) -> None:
        def evaluate_config() -> int:
            from frame_train.evaluating import evaluate  # torch and Lightning are imported only where needed

            with explained(()):
                failures = evaluate(config, adds_evaluations, sets_device, keys)
            for failure in failures:
                if show_traceback:
                    traceback.print_exception(failure.error)
                print_error(str(failure) if show_traceback else f"{failure} (--traceback shows where.)")
            return 1 if failures else 0

        adds_evaluations = any(argument.startswith("+evaluation=") for argument in arguments)
        sets_device = any(argument.startswith(("device=", "device.")) for argument in arguments)
        keys = [argument[1:].partition("=")[0] for argument in deletions]
        sys.exit(run_reported(evaluate_config, show_traceback))  # here, before Hydra prints it

    try:
        run()
    except (OSError, ValueError, YAMLError) as error:
        if isinstance(error, CompositionError | OmegaConfBaseException | HydraException):
            raise
        raise CompositionError(f"The config can't be composed: {error}") from error
    return 0


def _normalize_overrides(arguments: Sequence[str]) -> list[str]:
    """Move the overrides behind the flags, and write them in Hydra's grammar.

    A path may contain any character. An override may set a value of an evaluation in the stored config.
    """
    return [_normalize(argument) for argument in sorted(arguments, key=is_override)]


def _normalize(argument: str) -> str:
    match = re.fullmatch(r"(\+*|~)([\w./@]+)(=.*)?", argument, flags=re.DOTALL)
    if match is None or not is_override(argument):
        return argument
    prefix, key, value = match.groups()
    head = re.split(r"[.@]", key)[0]
    if head not in _KEYS:
        raise CompositionError(
            f"`evaluate` has no key `{key}`, only {', '.join(f'`{name}`' for name in _KEYS[:-1])}. Everything else "
            f"comes from the run.{suggest(head, _KEYS)}"
        )
    if prefix == "~" or value is None:
        return argument
    if key in ("run", "weights"):
        return f"{key}={_quote(value[1:])}"
    return f"{'+' if key == 'evaluation' else '++' if head == 'evaluation' or head == 'trainer' else ''}{key}{value}"


def _quote(value: str) -> str:
    """Quote any text in Hydra's grammar."""
    return value if value[:1] in ("'", '"') else QuotedString(value, Quote.single).with_quotes()
