"""A run, from its composed config to its last page."""

import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path

import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig

from frame_train.callbacks.stopping import is_stopped
from frame_train.errors import CompositionError, raise_any
from frame_train.experiment import Experiment, build_experiment
from frame_train.progress import list_logs
from frame_train.report import write_report
from frame_train.resuming import Resumption
from frame_train.run import (
    claimed,
    continue_wandb_runs,
    make_run_directory,
    write_description,
    write_end,
    write_resumption,
)
from frame_train.settings import resolve_without_environment
from frame_train.static_checks import find_static_problems
from frame_train.terminal import print_closing, print_config, print_notice, quiet_libraries


def train(config: DictConfig, overrides: Sequence[str]) -> Mapping[str, float]:
    """Build an experiment and train it; a run directory remains only if the training began.

    Returns:
        The last value of every metric.

    Raises:
        CompositionError: The experiment can't be built, or its directory can't be written.
    """
    quiet_libraries()
    with ExitStack() as claim:
        try:
            with make_run_directory(config) as directory:
                claim.enter_context(claimed(directory))
                config.run.directory = str(directory)
                experiment = _build(config, directory)
                write_description(directory, config, overrides)
                print_config(config)
        except OSError as error:
            message = f"`device.runs_root`: {config.device.runs_root!r} can't be written: {error}."
            raise CompositionError(message) from error
        return _run(experiment, config, directory)


def resume(config: DictConfig, resumption: Resumption) -> Mapping[str, float]:
    """Go on with a run, from its newest whole checkpoint, as if it had never been stopped.

    What it logged after the checkpoint is taken back first: it will be logged again.

    Returns:
        The last value of every metric.

    Raises:
        CompositionError: Another process trains in its directory, or the experiment can't be built.
    """
    quiet_libraries()
    directory, checkpoint = resumption.directory, resumption.checkpoint
    with claimed(directory):
        continued = deepcopy(config)
        continue_wandb_runs(continued, directory)
        experiment = _build(continued, directory)
        print_config(config)
        for line in (*resumption.passed_over, *resumption.changes):
            print_notice(line)
        print_notice(f"resumed at global step {checkpoint.global_step}")
        positions = torch.load(checkpoint.path, weights_only=True, mmap=True)["logs"]
        for key, logger in list_logs(experiment.trainer.loggers).items():
            if key in positions:
                logger.cut_back(positions[key])
        write_resumption(directory, config, checkpoint.global_step, resumption.changes)
        return _run(experiment, config, directory, checkpoint.path)


def _build(config: DictConfig, directory: Path) -> Experiment:
    raise_any(find_static_problems(config))
    return build_experiment(config, directory)


def _run(
    experiment: Experiment, config: DictConfig, directory: Path, checkpoint: Path | None = None
) -> Mapping[str, float]:
    """Train, and write the last page; a signal ends with the exit code that says so."""
    for logger in experiment.trainer.loggers:
        logger.log_hyperparams(resolve_without_environment(config))
    is_complete = False
    try:
        experiment.trainer.fit(experiment.optimization, ckpt_path=checkpoint, weights_only=True)
        is_complete = not is_stopped(experiment.trainer)
    except MisconfigurationException as error:
        raise CompositionError(f"`trainer`: {error}", "trainer") from error
    finally:
        write_end(directory, is_complete)
        write_report(directory)
        print_closing(experiment.file_logger.last_values, directory)
    if not is_complete and experiment.stop.received is not None:
        name, step = experiment.stop.received.name, experiment.trainer.global_step
        print_notice(f"stopped by {name} at global step {step}; `train resume={directory}` goes on")
        sys.exit(130 if experiment.stop.received == signal.SIGINT else 143)
    return {name: value for name, (value, _) in experiment.file_logger.last_values.items()}
