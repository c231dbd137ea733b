"""The command `evaluate`."""

import atexit
import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from frame_train.api import evaluate, evaluate_config
from frame_train.commands.exit_codes import exiting_on_signals, run_reported, shows_traceback, skip_last_collection
from frame_train.commands.listing import list_options
from frame_train.commands.output import forgiving_output, print_versions
from frame_train.commands.startup import defer_packages
from frame_train.composition.command_line.flags import take_evaluation_flags
from frame_train.composition.command_line.overrides import (
    is_multirun,
    is_override,
    normalize_evaluation_overrides,
    split_folders,
)
from frame_train.composition.compose import DELETION, compose_evaluation, prepare_hydra
from frame_train.composition.explanation import explained
from frame_train.composition.settings import HYDRA_DEFAULTS, config_directory
from frame_train.console import print_notice
from frame_train.errors import CompositionError
from frame_train.files import without_local_settings

_OWN_CODE = (
    "allow=",
    "--config-dir",
    "-cd",
)  # with these, the user's own classes in the current folder can be imported


def main() -> None:
    """Evaluate runs, check or list the evaluations, or with ``--diff`` print the differences between two runs.

    After a mistake in the config, the exit code is 2. If an evaluation raises, the others still run, and the exit code
    is 1. ``--traceback`` shows where an error was raised.
    """
    defer_packages()
    atexit.register(skip_last_collection)
    if os.path.lexists("matplotlibrc"):  # in the current folder, which may be a foreign run
        with without_local_settings():
            import_module("matplotlib")
    show_traceback = shows_traceback()
    with forgiving_output(), exiting_on_signals():
        sys.exit(run_reported(lambda: _run(sys.argv[1:], show_traceback), show_traceback))


def _run(arguments: Sequence[str], show_traceback: bool) -> int:
    """Run the flag or the evaluation that the command line requests, and return the exit code."""
    flags, arguments = take_evaluation_flags(arguments)
    if any(argument.startswith(_OWN_CODE) for argument in arguments):
        sys.path.append(os.getcwd())  # after the installed packages, because the folder may be somebody else's run
    if flags.version:
        print_versions()
        return 0
    with explained(()):
        if flags.diff is not None:
            _print_differences(flags.diff)
            return 0
        if flags.list:
            list_options("evaluation", None, arguments)
            return 0
        _, others = split_folders(arguments)
        if is_multirun(others):
            raise CompositionError("`evaluate` has no grids (`-m`). Name several runs, or set `weights=all`.")
        if any(argument.startswith("-") for argument in others):
            return _evaluate_with_hydra(arguments, show_traceback)
        runs, others = _split_runs(arguments)
        if flags.check:
            for run in runs or [[]]:
                _check([*run, *others])
            return 0
        return _evaluate_each(runs or [[]], others, show_traceback)


def _split_runs(arguments: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    """Split a command line into the runs, each as ``run=…``, and the other arguments. A bare path is a run."""
    folders, words = split_folders(arguments)
    runs = [word if word.startswith("run=") else f"run={word}" for word in words if _names_run(word)]
    others = [word for word in words if not _names_run(word)]
    return [[run] for run in runs], [*(f"--config-dir={folder}" for folder in folders), *others]


def _names_run(word: str) -> bool:
    return word.startswith("run=") or (not is_override(word) and (word == "last" or os.path.exists(word)))


def _check(arguments: Sequence[str]) -> None:
    """Load a run and check the evaluations, without evaluating."""
    config = compose_evaluation(arguments)
    evaluate_config(config, arguments, only_checks=True)
    print_notice(f"{config.run}: no mistakes")


def _evaluate_each(runs: Sequence[Sequence[str]], others: Sequence[str], show_traceback: bool) -> int:
    """Evaluate one run after another, and return the worst exit code. A run that fails does not stop the others."""
    codes = [run_reported(partial(_evaluate, [*run, *others]), show_traceback) for run in runs]
    return max(codes)


def _evaluate(arguments: Sequence[str]) -> int:
    evaluate(arguments)
    return 0


def _print_differences(runs: Sequence[str]) -> None:
    if len(runs) != 2:
        raise CompositionError(f"`--diff` needs two runs, got {len(runs)}: `evaluate --diff RUN_A RUN_B`.")
    from frame_train.comparison.difference import compare_runs  # torch is imported only where needed
    from frame_train.terminal import print_differences

    print_differences(*compare_runs(runs))


def _evaluate_with_hydra(arguments: Sequence[str], show_traceback: bool) -> int:
    """Run Hydra on a command line with flags of its own, and return the exit code."""
    prepare_hydra()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise its errors
    overrides = [argument for argument in arguments if not argument.startswith(DELETION)]
    is_completion = bool({"-sc", "--shell-completion"}.intersection(arguments))  # `query=bash` is no override
    sys.argv[1:] = overrides if is_completion else normalize_evaluation_overrides(overrides)

    @hydra.main(config_path=str(config_directory()), config_name="evaluate", **HYDRA_DEFAULTS)
    def run(config: DictConfig) -> None:
        def evaluate_job() -> int:
            with explained(()):
                evaluate_config(config, arguments)
            return 0

        sys.exit(run_reported(evaluate_job, show_traceback))  # here, before Hydra prints it

    try:
        run()
    except (OSError, ValueError, YAMLError) as error:
        if isinstance(error, CompositionError | OmegaConfBaseException | HydraException):
            raise
        raise CompositionError(f"The config can't be composed: {error}") from error
    return 0
