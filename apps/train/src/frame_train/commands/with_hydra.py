"""Training through Hydra: the jobs of a grid, and Hydra's own flags."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from frame_train.api import train_config
from frame_train.commands.exit_codes import get_exit_code, run_reported
from frame_train.commands.grid import GridCallback, check_jobs, list_jobs, train_job
from frame_train.comparison.grid import group_by_setting, is_grid, read_command, read_jobs, write_command, write_results
from frame_train.composition.command_line.overrides import is_multirun, is_override, split_folders, write_value
from frame_train.composition.compose import NOT_HYDRAS_OWN, explain_failure, get_overrides, prepare_hydra
from frame_train.composition.explanation import explained
from frame_train.composition.settings import HYDRA_DEFAULTS, config_directory
from frame_train.console import print_error, print_notice
from frame_train.errors import CompositionError
from frame_train.runs.directory import claimed, is_claimed


def resume_grid(folder: Path, changes: Sequence[str], show_traceback: bool) -> int:
    """Train the jobs of a grid that are not complete, print the results of all jobs, and return the exit code.

    Args:
        folder: The folder of the grid.
        changes: Further arguments: only settings of Hydra, such as the launcher, because jobs keep their configs.
        show_traceback: Whether to print the traceback of an error, too.

    Raises:
        CompositionError: The command of the grid can't be read, an argument would change its jobs, or another process
            trains them.
    """
    wrong = [word for word in changes if not word.startswith("hydra") and word not in ("-m", "--multirun")]
    if wrong:
        raise CompositionError(f"`resume`: the jobs of a grid keep their configs, got `{wrong[0]}`. Remove it.")
    arguments = [*read_command(folder), *changes, f"hydra.sweep.dir={write_value(str(folder.absolute()))}"]
    for job in read_jobs(folder):
        if job.status != "complete" and job.directory is not None and is_claimed(Path(job.directory)):
            raise CompositionError(
                f"`resume`: another process trains a job of this grid, in {job.directory!r}. "
                "Wait until it ends, or stop it."
            )
    with claimed(folder):
        return train_with_hydra(arguments, resumes=False, show_traceback=show_traceback)


def train_with_hydra(arguments: Sequence[str], resumes: bool, show_traceback: bool) -> int:
    """Run Hydra on a command line, train each job, and return the exit code.

    Args:
        arguments: The command line.
        resumes: Whether to resume incomplete runs of the jobs.
        show_traceback: Whether to print the traceback of an error, too.
    """
    prepare_hydra()
    folders, others = split_folders(arguments)
    flags = [word for word in others if not is_override(word)]
    arguments = [*(f"--config-dir={folder.absolute()}" for folder in folders), *filter(is_override, others)]
    with explained(arguments):
        sys.argv[1:] = [*flags, *get_overrides(arguments)]
        if is_multirun([*flags, *arguments]) and not any(word.startswith("hydra/sweeper=") for word in arguments):
            check_jobs(list_jobs(arguments), arguments)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise its errors

    started: list[Path] = []

    @hydra.main(config_path=str(config_directory()), config_name="train", **HYDRA_DEFAULTS)
    def run(config: DictConfig) -> float | None:
        overrides = cast(list[str], OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False))
        line = [*(word for word in arguments if not is_override(word)), *overrides]
        if HydraConfig.get().mode != RunMode.MULTIRUN:
            code = run_reported(lambda: _train_one(config, line, resumes), show_traceback)
            return sys.exit(code) if code else None
        folder, number = Path(HydraConfig.get().sweep.dir), HydraConfig.get().job.num
        started.append(folder)
        if not is_grid(folder):
            write_command(folder, [*flags, *arguments])
        return train_job(folder, number, config, line, resumes, show_traceback)

    GridCallback.folders.clear()
    is_lost = False
    try:
        with explained(arguments):
            run()
    except NOT_HYDRAS_OWN as error:
        if started or isinstance(error, CompositionError):
            raise
        raise CompositionError(explain_failure(error, arguments)) from error
    except Exception as error:
        if not _is_of_launcher(error) or show_traceback:
            raise
        print_error(f"`hydra/launcher`: {' '.join(str(error).splitlines()[:2])}")
        is_lost = True
    code = max(map(_report, GridCallback.folders), default=0)
    return 1 if is_lost else code


def _train_one(config: DictConfig, line: Sequence[str], resumes: bool) -> int:
    with explained(line):
        return get_exit_code(train_config(config, line, resumes))


def _report(grid: Path) -> int:
    """Write and print the results of a grid, and return the exit code."""
    jobs = read_jobs(grid)
    if not jobs:
        return 0
    from frame_train.comparison.grid_page import write_grid_page  # jinja2 and rich are imported only where needed
    from frame_train.comparison.grid_table import print_settings

    settings = group_by_setting(jobs)
    write_results(grid, settings)
    write_grid_page(grid, settings)
    print_settings(settings)
    print_notice(f"the results are in {grid}")
    incomplete = [job for job in jobs if job.status != "complete"]
    if incomplete and (grid / ".submitit").is_dir():
        print_notice(f"the output of each job is in {grid / '.submitit'}")
    if incomplete:
        print_notice(f"`train resume={grid}` trains the incomplete jobs")
    if any(job.status != "refused" for job in incomplete):
        return 1
    return 2 if incomplete else 0


def _is_of_launcher(error: Exception) -> bool:
    """Return whether the library submitit raised an error. It is an optional dependency, so its types are unknown."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("submitit.")
