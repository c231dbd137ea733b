"""A run, from its composed config to its last page."""

import sys
from collections.abc import Mapping, Sequence

from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig

from frame_train.errors import CompositionError, raise_any
from frame_train.experiment import Experiment, build_experiment
from frame_train.report import write_report
from frame_train.run import make_run_directory, write_description
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
    try:
        with make_run_directory(config) as directory:
            config.run.directory = str(directory)
            raise_any(find_static_problems(config))
            experiment = build_experiment(config, directory)
            hyper_parameters = resolve_without_environment(config)
            write_description(directory, config, overrides)
            print_config(config)
    except OSError as error:
        raise CompositionError(f"`device.runs_root`: {config.device.runs_root!r} can't be written: {error}.") from error
    for logger in experiment.trainer.loggers:
        logger.log_hyperparams(hyper_parameters)
    try:
        _fit(experiment)
    finally:
        write_report(directory)
        print_closing(experiment.file_logger.last_values, directory)
    return {name: value for name, (value, _) in experiment.file_logger.last_values.items()}


def _fit(experiment: Experiment) -> None:
    """Train; Ctrl-C ends with exit code 130 once what was reached is logged."""
    try:
        experiment.trainer.fit(experiment.optimization)
    except MisconfigurationException as error:
        raise CompositionError(f"`trainer`: {error}", "trainer") from error
    except SystemExit:
        if not experiment.trainer.interrupted:
            raise
        print_notice(f"interrupted at global step {experiment.trainer.global_step}")
        sys.exit(130)
