"""The command `train`."""

import atexit
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from frame_train.api import train
from frame_train.commands.copying import copy_experiment
from frame_train.commands.exit_codes import (
    exiting_on_signals,
    get_exit_code,
    run_reported,
    shows_traceback,
    skip_last_collection,
)
from frame_train.commands.listing import list_options, print_help, print_schema
from frame_train.commands.output import forgiving_output, print_versions
from frame_train.commands.startup import defer_packages
from frame_train.composition.command_line.flags import take_flags
from frame_train.composition.command_line.overrides import is_multirun, own_folders, split_folders
from frame_train.composition.settings import config_directory
from frame_train.distributed.environment import is_under_torchrun, is_worker, releasing_workers, wait_for_directory
from frame_train.errors import CompositionError, TrainingError


def main() -> None:
    """Train the experiment that the command line describes, or with ``-m`` one for each job of a grid.

    ``--check``, ``--check-all`` and ``--list`` report on configs instead. A mistake in the config (exit code 2) and an
    unrecoverable training failure (exit code 1) end with a short message. ``--traceback`` shows where it was raised.
    """
    sys.path.append(os.getcwd())  # for the user's own classes, after the installed packages
    defer_packages()
    atexit.register(skip_last_collection)
    if is_worker():
        sys.exit(_run_worker())
    arguments, show_traceback = sys.argv[1:], shows_traceback()
    with forgiving_output(), exiting_on_signals(), releasing_workers():
        sys.exit(run_reported(lambda: _run(arguments, show_traceback), show_traceback))


def _run(arguments: Sequence[str], show_traceback: bool) -> int:
    """Run the flag or the training that the command line requests, and return the exit code."""
    flags, arguments = take_flags(arguments)
    if flags.help:
        print_help(arguments)
        return 0
    if flags.version:
        print_versions()
        return 0
    if flags.schema:
        print_schema(arguments)
        return 0
    if flags.copy is not None:
        copy_experiment(flags.copy[0], Path(flags.copy[1]), [*own_folders(arguments), config_directory()])
        return 0
    if flags.list is not None:
        list_options(flags.list, flags.compatible_with, arguments, flags.json)
        return 0
    if flags.json and not flags.check:
        raise CompositionError("`--json` needs `--check` or `--list`.")
    if flags.compatible_with is not None:
        raise CompositionError("`--compatible-with` needs `--list GROUP`.")
    resumed = [argument for argument in arguments if argument.startswith("resume=")]
    rest = [argument for argument in arguments if argument not in resumed]
    grid = _find_grid(resumed)
    is_grid = grid is not None or is_multirun(arguments)
    if not is_grid and any(argument.startswith("hydra/launcher=") for argument in arguments):
        raise CompositionError("`hydra/launcher` needs a grid, whose jobs it starts. Add `-m`.")
    if flags.search is not None and (flags.check or flags.check_all):
        raise CompositionError("`--search` checks its configs before the first trial. Remove `--check`.")
    if flags.check or flags.check_all:
        from frame_train.commands.check import check, check_all  # torch and Lightning are imported only where needed

        if resumed not in ([], ["resume=auto"]):
            raise CompositionError(
                f"`--check` checks the config of a new run, and `{resumed[0]}` continues a stored one."
            )
        return check_all(rest) if flags.check_all else check(rest, flags.json)
    if flags.search is not None:
        if is_under_torchrun():
            raise CompositionError("`torchrun` can't run a search. Set `trainer.devices` instead.")
        from frame_train.commands.search import search  # needed only for a search

        return search(flags.search, arguments)
    _, others = split_folders(arguments)
    if not is_grid and not any(argument.startswith("-") for argument in others):
        return get_exit_code(train(arguments))
    if is_under_torchrun():
        raise CompositionError("`torchrun` can't run a grid (`-m`). Set `trainer.devices` instead.")
    from frame_train.commands.with_hydra import resume_grid, train_with_hydra  # only for a grid, and for Hydra's flags

    if grid is not None:
        return resume_grid(grid, rest, show_traceback)
    if resumed not in ([], ["resume=auto"]):
        raise CompositionError(f"`{resumed[0]}` resumes one run, so it can't have `-m`. Use `resume=auto` in a grid.")
    return train_with_hydra(rest, bool(resumed), show_traceback)


def _find_grid(resumed: Sequence[str]) -> Path | None:
    """Return the folder of the grid to resume; None if there is none."""
    if len(resumed) != 1:
        return None
    from frame_train.comparison.grid import is_grid  # needed only to resume

    folder = Path(resumed[0].removeprefix("resume="))
    return folder if is_grid(folder) else None


def _run_worker() -> int:
    """Train as a worker rank in the run that rank 0 creates, and return the exit code."""
    directory = wait_for_directory()
    if directory is None:
        return 0
    from frame_train.training import train_as_worker  # torch and Lightning are imported only where needed

    try:
        train_as_worker(directory)
    except TrainingError:  # rank 0 reports it
        return 1
    return 0
