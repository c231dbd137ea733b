"""A grid of jobs: its folder, a check of all jobs before the first one trains, and the training of one."""

import math
import sys
import traceback
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from frame_train.api import check_statically, resume_run, train_config
from frame_train.commands.exit_codes import get_exit_code, run_reported
from frame_train.commands.startup import defer_packages
from frame_train.comparison.grid import Job, JobStatus, read_job, write_job
from frame_train.composition.command_line.overrides import is_override
from frame_train.composition.compose import compose_config, initialized_hydra, list_task_overrides, prepare_hydra
from frame_train.composition.explanation import explained
from frame_train.console import print_notice
from frame_train.errors import CompositionError, collected, raise_any
from frame_train.runs.result import Result

_STATUSES: tuple[JobStatus, ...] = ("complete", "failed", "refused")  # by the exit code


class GridCallback(Callback):
    """Hydra callback that records the folder of each grid that this process starts.

    Hydra also creates it in the process of each job. There it prepares the process as the command does.
    """

    folders: ClassVar[list[Path]] = []

    def __init__(self) -> None:
        defer_packages()
        prepare_hydra()

    def __reduce__(self) -> tuple[Callable[[], "GridCallback"], tuple[()]]:
        return GridCallback, ()

    def on_multirun_start(self, config: DictConfig, **others: Any) -> None:
        self.folders.append(Path(config.hydra.sweep.dir))


def list_jobs(arguments: Sequence[str]) -> list[list[str]]:
    """Return the overrides of each job of a grid, in the order of Hydra's default sweeper.

    Args:
        arguments: The command line.

    Raises:
        HydraException: An override can't be parsed.
        CompositionError: The values of an override are a range.
    """
    with initialized_hydra():
        parser = OverridesParser.create(GlobalHydra.instance().config_loader())
        overrides = parser.parse_overrides(list_task_overrides(arguments))
        for override in overrides:
            if override.is_sweep_override() and not override.is_discrete_sweep():
                raise CompositionError(
                    f"`{override.input_line}`: a grid needs a list of values, such as `{override.key_or_group}=0.1,1`. "
                    "`--search` chooses values from a range."
                )
    choices = {override.get_key_element(): _list_choices(override) for override in overrides}  # the last one counts
    return [list(job) for job in product(*choices.values())]


def _list_choices(override: Override) -> list[str]:
    """Return the override of each job, for one override of a grid."""
    values = override.sweep_string_iterator() if override.is_sweep_override() else [override.get_value_element_as_str()]
    return [f"{override.get_key_element()}={value}" for value in values]


def check_jobs(jobs: Sequence[Sequence[str]], arguments: Sequence[str]) -> None:
    """Check the config of each job of a grid, without importing what it builds.

    Args:
        jobs: The overrides of each job.
        arguments: The command line, whose flags all jobs have.

    Raises:
        CompositionError: At least one config has a mistake.
    """
    flags = [word for word in arguments if not is_override(word)]
    problems: list[CompositionError] = []
    for overrides in jobs:
        line = [*flags, *overrides]
        with collected(problems), explained(line):
            check_statically(compose_config(line), line, notify=lambda notice: None)  # each job prints its own
    raise_any(problems)


def train_job(
    folder: Path, number: int, config: DictConfig, line: Sequence[str], resumes: bool, show_traceback: bool
) -> float:
    """Train a job of a grid, and write its result into the folder of the grid. Skip a job that is complete.

    A run of the job that has begun is resumed. A mistake or a failure is reported, and the other jobs continue. If a
    signal stops the job, the grid ends too.

    Args:
        folder: The folder of the grid.
        number: The number of the job.
        config: The composed config, which is modified.
        line: The arguments that it is composed from.
        resumes: Whether to resume an incomplete run of these arguments, even of another grid.
        show_traceback: Whether to print the traceback of an error, too.

    Returns:
        The last value of ``monitor.metric``; NaN without it.
    """
    overrides = list(filter(is_override, line))
    job = read_job(folder, number)
    if job is None or job.overrides != overrides:
        job = Job(overrides)
    if job.status == "complete":
        print_notice(f"job {number} is complete")
        return _get_value(job)
    job.status = "started"
    write_job(folder, number, job)

    def run() -> int:
        with explained(line):
            result = _train(folder, number, job, config, line, resumes)
        if result.status != "complete":
            print_notice(f"`train resume={folder}` continues the grid")
            sys.exit(get_exit_code(result))
        job.metric, job.mode, job.last = config.monitor.metric, config.monitor.mode, dict(result.last)
        return 0

    try:
        job.status = _STATUSES[run_reported(run, show_traceback)]
    except Exception:
        if show_traceback:
            raise
        traceback.print_exc()
        job.status = "failed"
    write_job(folder, number, job)
    return _get_value(job)


def _train(folder: Path, number: int, job: Job, config: DictConfig, line: Sequence[str], resumes: bool) -> Result:
    """Train a job, or resume its run if that has a checkpoint, and write its directory into the folder of the grid."""
    from frame_train.callbacks.directory import DirectoryCallback  # torch and Lightning are imported only to train
    from frame_train.runs.checkpoint_files import find_newest

    def keep(directory: Path) -> None:
        job.directory = str(directory)
        write_job(folder, number, job)

    callbacks = [DirectoryCallback(keep)]
    if job.directory is not None and find_newest(Path(job.directory) / "checkpoints")[0] is not None:
        return resume_run(job.directory, (), callbacks)
    if isinstance(config.run, DictConfig) and config.run.get("group") is None:
        config.run.group = folder.name
    return train_config(config, line, resumes, callbacks)


def _get_value(job: Job) -> float:
    return job.last.get(str(job.metric), math.nan)
