"""Training through Hydra: the jobs of a grid, and Hydra's own flags."""

import contextlib
import os
import sys
import traceback
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from frame_train.api import train_config
from frame_train.commands.exit_codes import get_exit_code, run_reported
from frame_train.commands.grid import Job, find_grid, forget_grid, print_jobs, read_jobs, write_job
from frame_train.composition.compose import NOT_HYDRAS_OWN, explain_failure, get_overrides, prepare_hydra
from frame_train.composition.explanation import explained
from frame_train.composition.overrides import is_override, split_folders
from frame_train.composition.settings import config_directory
from frame_train.console import print_error, print_notice
from frame_train.errors import CompositionError


def train_with_hydra(arguments: Sequence[str], resumes: bool, show_traceback: bool) -> int:
    """Run Hydra on a command line, train each job, and return the exit code.

    Args:
        arguments: The command line.
        resumes: Whether to resume incomplete runs of the jobs.
        show_traceback: Whether to raise mistakes instead of reporting them.
    """
    prepare_hydra()
    folders, others = split_folders(arguments)
    flags = [word for word in others if not is_override(word)]
    arguments = [*(f"--config-dir={folder}" for folder in folders), *filter(is_override, others)]
    sys.argv[1:] = [*flags, *get_overrides(arguments)]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise its errors
    jobs: list[Job] = []

    @hydra.main(version_base="1.3", config_path=str(config_directory()), config_name="train")
    def run(config: DictConfig) -> None:
        overrides = cast(list[str], OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False))
        line = [*(word for word in arguments if not is_override(word)), *overrides]
        job = Job(overrides)
        jobs.append(job)

        def train_job() -> int:
            with explained(line):
                result = train_config(config, line, resumes)
            if result.status != "complete":
                sys.exit(get_exit_code(result))  # the grid ends, too
            job.last_values = result.last
            return 0

        with _kept(job):
            try:
                job.crashed = run_reported(train_job, show_traceback) == 1
            except Exception:
                if show_traceback or HydraConfig.get().mode != RunMode.MULTIRUN:
                    raise
                traceback.print_exc()  # the other jobs continue
                job.crashed = True

    forget_grid()
    is_lost = False
    try:
        with explained(arguments):
            run()
    except NOT_HYDRAS_OWN as error:
        if jobs or isinstance(error, CompositionError):
            raise
        raise CompositionError(explain_failure(error, arguments)) from error
    except Exception as error:
        if not _is_of_launcher(error) or show_traceback:
            raise
        print_error(f"`hydra/launcher`: {' '.join(str(error).splitlines()[:2])}")
        is_lost = True
    grid = find_grid()
    if grid is not None:
        jobs = read_jobs(grid)
    if len(jobs) > 1:
        print_jobs(jobs)
    failed = [job for job in jobs if job.last_values is None]
    if failed and grid is not None and (grid / ".submitit").is_dir():
        print_notice(f"the output of each job is in {grid / '.submitit'}")
    if is_lost or any(job.crashed for job in failed):
        return 1
    return 2 if failed else 0


@contextlib.contextmanager
def _kept(job: Job) -> Generator[None]:
    """Write the result of a job into the folder of its grid. Until the job ends, it counts as crashed."""
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        yield
        return
    folder, number = Path(HydraConfig.get().sweep.dir), HydraConfig.get().job.num
    write_job(folder, number, replace(job, crashed=True))
    yield
    write_job(folder, number, job)


def _is_of_launcher(error: Exception) -> bool:
    """Return whether the library submitit raised an error. It is an optional dependency, so its types are unknown."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("submitit.")
