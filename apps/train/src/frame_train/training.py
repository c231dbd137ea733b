"""From a composed config to a run: everything is built and checked, then it trains."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import Checkpoint, ProgressBar
from pytorch_lightning.loggers import Logger

from frame_core import Optimization
from frame_loggers import FileLogger
from frame_train.callbacks import EvaluationCallback
from frame_train.composition import Composition, construct
from frame_train.errors import CompositionError
from frame_train.run import make_run_directory, write_description
from frame_train.terminal import print_closing, print_config, quiet_libraries


@dataclass(frozen=True)
class Experiment:
    """What a config composes: a procedure, the trainer that runs it, and the log that is always written."""

    optimization: LightningModule
    trainer: Trainer
    file_logger: FileLogger


def train(config: DictConfig, overrides: Sequence[str]) -> None:
    """Build an experiment and train it; a run directory remains only if the training began.

    Raises:
        CompositionError: The experiment can't be built, or its directory can't be written.
    """
    quiet_libraries()
    try:
        with make_run_directory(config) as directory:
            config.run.directory = str(directory)
            experiment = build_experiment(config, directory)
            write_description(directory, config, overrides)
    except OSError as error:
        raise CompositionError(f"`device.runs_root`: {config.device.runs_root!r} can't be written: {error}.") from error
    print_config(config)
    for logger in experiment.trainer.loggers:
        logger.log_hyperparams(OmegaConf.to_container(config, resolve=True))  # pyright: ignore[reportArgumentType]
    try:
        experiment.trainer.fit(experiment.optimization)
    finally:
        print_closing(experiment.file_logger.last_values, directory)


def build_experiment(config: DictConfig, directory: Path) -> Experiment:
    """Build the procedure, the evaluations, callbacks, loggers and the trainer of a config.

    Args:
        config: The composed config.
        directory: Where the run is written.

    Raises:
        CompositionError: Something can't be built, or does not fit the rest; the message names its key.
    """
    seed_everything(config.seed, workers=True, verbose=False)
    composition = Composition()
    optimization = composition.instantiate(config.optimization)
    callbacks = {
        key: callback
        for group in ("evaluation", "callbacks")
        for key, callback in _by_key(composition.instantiate(config[group]), group).items()
    }
    _check_callbacks(callbacks, optimization)
    file_logger = FileLogger(directory)
    loggers = [file_logger, *_by_key(composition.instantiate(config.logger), "logger").values()]
    make_trainer = composition.instantiate(config.trainer)
    trainer = _build_trainer(make_trainer, list(callbacks.values()), loggers, directory)
    return Experiment(optimization, trainer, file_logger)


def _by_key(components: Mapping[str, Any] | Sequence[Any], group: str) -> dict[str, Any]:
    """Name each component of a group, a mapping or a list, by its key; what was set to null is left out."""
    items = components.items() if isinstance(components, Mapping) else enumerate(components)
    return {f"{group}.{name}": component for name, component in items if component is not None}


def _check_callbacks(callbacks: Mapping[str, Callback], optimization: Optimization) -> None:
    """Find before any training what would fail in it: a name used twice, a unit, a capability."""
    keys_by_name: dict[str, str] = {}
    for key, callback in callbacks.items():
        if isinstance(callback, EvaluationCallback):
            other = keys_by_name.setdefault(callback.name, key)
            if other != key:
                raise CompositionError(f"`{key}.name`: {callback.name!r} is the name of `{other}` too.")
        check = getattr(callback, "check", None)
        if check is not None:
            try:
                check(optimization)
            except (TypeError, ValueError) as error:
                raise CompositionError(f"`{key}`: {error}") from error


def _build_trainer(
    make_trainer: Callable[..., Trainer], callbacks: Sequence[Callback], loggers: Sequence[Logger], directory: Path
) -> Trainer:
    """Build the trainer with the callbacks that the config lists and none besides."""
    arguments = {
        "callbacks": callbacks,
        "logger": loggers,
        "default_root_dir": directory,
        "enable_checkpointing": any(isinstance(callback, Checkpoint) for callback in callbacks),
        "enable_progress_bar": any(isinstance(callback, ProgressBar) for callback in callbacks),
    }
    return construct(make_trainer, (), arguments, "trainer")
