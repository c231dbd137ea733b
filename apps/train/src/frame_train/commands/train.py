"""The command `train`."""

import contextlib
import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from frame_train.commands.grid import Job, find_grid, forget_grid, print_jobs, read_jobs, write_job
from frame_train.commands.listing import list_options, print_help
from frame_train.commands.startup import defer_packages
from frame_train.composition.compose import explain_failure, prepare_config
from frame_train.composition.explanation import EXPLAINED, explain
from frame_train.composition.origins import located
from frame_train.composition.overrides import is_override, normalize_overrides, take_flags
from frame_train.composition.settings import EnvironmentRecord, config_directory, register_resolvers
from frame_train.composition.unread import find_unread
from frame_train.console import print_error, print_notice
from frame_train.distributed.environment import (
    is_restarted,
    is_under_torchrun,
    is_worker,
    name_launch,
    releasing_workers,
    wait_for_directory,
)
from frame_train.errors import CompositionError, TrainingError, raise_any


def main() -> None:
    """Compose a config from the command line and train it, or with ``-m`` one for each job of a grid.

    ``--check``, ``--check-all`` and ``--list`` report on configs instead. A mistake in the config (exit code 2) and an
    unrecoverable training failure (exit code 1) end with a short message. ``--traceback`` shows where it was raised.
    """
    sys.path.append(os.getcwd())  # for the user's own classes, after the installed packages
    defer_packages()
    register_resolvers()
    environment = EnvironmentRecord()
    environment.register()
    show_traceback = "--traceback" in sys.argv or os.environ.get("HYDRA_FULL_ERROR") == "1"
    if is_worker():
        sys.exit(_run_worker())
    with reported_errors(show_traceback, sys.argv[1:], environment), releasing_workers():
        flags, arguments = take_flags(sys.argv[1:])
        sys.exit(_run(flags, arguments, show_traceback, environment))
    sys.exit(2)


@contextlib.contextmanager
def reported_errors(show_traceback: bool, arguments: Sequence[str], environment: EnvironmentRecord) -> Generator[None]:
    """Report configuration errors without a traceback, then continue.

    Args:
        show_traceback: Whether to raise them instead.
        arguments: The command line.
        environment: The values to hide in a message.
    """
    try:
        yield
    except EXPLAINED as error:
        if show_traceback:
            raise
        print_error(environment.hide(explain(error, arguments)))


def _run(flags: Namespace, arguments: Sequence[str], show_traceback: bool, environment: EnvironmentRecord) -> int:
    """Run the flag or the training that the command line requests, and return the exit code."""
    if flags.help:
        print_help(arguments)
        return 0
    if flags.list is not None:
        list_options(flags.list, flags.compatible_with, arguments)
        return 0
    if flags.compatible_with is not None:
        raise CompositionError("`--compatible-with` needs `--list GROUP`.")
    is_grid = bool({"-m", "--multirun", "hydra.mode=MULTIRUN"}.intersection(arguments))
    if not is_grid and any(argument.startswith("hydra/launcher=") for argument in arguments):
        raise CompositionError("`hydra/launcher` needs a grid, whose jobs it starts. Add `-m`.")
    if flags.check or flags.check_all:
        from frame_train.commands.check import check, check_all  # torch and Lightning are imported only where needed

        return check_all(arguments, environment) if flags.check_all else check(arguments, environment)
    where = next((argument[7:] for argument in arguments if argument.startswith("resume=")), None)
    others = [argument for argument in arguments if not argument.startswith("resume=")]
    if is_grid and where not in (None, "auto"):
        raise CompositionError(f"`resume={where}` resumes one run, so it can't have `-m`. Use `resume=auto` in a grid.")
    if is_under_torchrun() and is_grid:
        raise CompositionError("`torchrun` can't run a grid (`-m`). Set `trainer.devices` instead.")
    if where in (None, "auto"):
        return _compose_and_train(others, show_traceback, environment, resumes=where == "auto")
    try:
        _resume(where, [argument for argument in others if is_override(argument)])
    except TrainingError as error:
        if show_traceback:
            raise
        print_error(str(error))
        return 1
    return 0


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


def _resume(where: str, overrides: Sequence[str]) -> Mapping[str, float]:
    from frame_train.runs.resumption import read_resumption  # torch and Lightning are imported only where needed
    from frame_train.training import resume

    config, resumption = read_resumption(where, overrides)
    with located(config):
        prepare_config(config)
        return resume(config, resumption)


def _compose_and_train(
    arguments: Sequence[str], show_traceback: bool, environment: EnvironmentRecord, resumes: bool
) -> int:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise its errors
    sys.argv[1:] = normalize_overrides(arguments)
    jobs: list[Job] = []

    @hydra.main(version_base="1.3", config_path=str(config_directory()), config_name="train")
    def run(config: DictConfig) -> None:
        environment.register()  # again, because a job can have its own process
        overrides = cast(list[str], OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False))
        job = Job(overrides)
        jobs.append(job)
        own = [argument for argument in arguments if not is_override(argument)]
        line = [*own, *overrides]
        with _kept(job), reported_errors(show_traceback, line, environment):  # Hydra ends a grid at an error
            try:
                with located(config, line):
                    job.last_values = _train(config, line, overrides, resumes)
            except EXPLAINED:
                raise
            except TrainingError as error:
                if show_traceback:
                    raise
                print_error(str(error))
                job.crashed = True
            except Exception:
                if HydraConfig.get().mode != RunMode.MULTIRUN:
                    raise
                traceback.print_exc()  # the other jobs continue
                job.crashed = True

    forget_grid()
    is_lost = False
    try:
        run()
    except (OSError, ValueError, YAMLError) as error:
        if jobs or isinstance(error, EXPLAINED):
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


def _train(
    config: DictConfig, arguments: Sequence[str], overrides: Sequence[str], resumes: bool
) -> Mapping[str, float]:
    lines = prepare_config(config)
    problems, notices = find_unread(config, arguments)
    for line in (*lines, *notices):
        print_notice(line)
    from frame_train.experiment.static_checks import find_written_problems  # needed only for a composed config

    raise_any([*problems, *find_written_problems(config)])  # before torch and Lightning are imported
    if resumes or is_restarted():
        from frame_train.runs.resumption import find_unfinished  # torch and Lightning are imported only where needed

        unfinished = find_unfinished(config, overrides, None if resumes else name_launch())
        if unfinished is not None:
            return _resume(str(unfinished), ())
    from frame_train.training import train

    return train(config, overrides)
