"""From a composed config to what it describes, checked before anything trains."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import DictConfig
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import Checkpoint, ProgressBar
from pytorch_lightning.loggers import Logger

from frame_core import Optimization, get_batch, get_split, undisturbed
from frame_loggers import FileLogger
from frame_train.callbacks import BestCheckpoint, EvaluationCallback, TrainDurationCallback
from frame_train.composition import Composition, construct
from frame_train.errors import CompositionError, suggest

_OPTIONAL_CALLBACKS = {"enable_checkpointing": Checkpoint, "enable_progress_bar": ProgressBar}


@dataclass(frozen=True)
class Experiment:
    """What a config composes: a procedure, the trainer that runs it, and the log that is always written."""

    optimization: LightningModule
    trainer: Trainer
    file_logger: FileLogger


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
        for group in ("callbacks", "evaluation")
        for key, callback in _by_key(composition.instantiate(config[group]), group).items()
    }
    if config.train_for is not None:
        callbacks["train_for"] = construct(TrainDurationCallback, (), {"train_for": config.train_for}, "train_for")
    _check("optimization", optimization)
    _try_loss(optimization)
    _check_callbacks(callbacks, optimization)
    file_logger = FileLogger(directory)
    loggers = [file_logger, *_by_key(composition.instantiate(config.logger), "logger").values()]
    make_trainer = composition.instantiate(config.trainer)
    trainer = _build_trainer(make_trainer, callbacks, loggers, directory)
    _check("trainer", optimization, trainer, method="check_trainer")
    if trainer.world_size > 1:
        raise CompositionError(f"`trainer.devices`: one process trains a run, got {trainer.world_size}.")
    return Experiment(optimization, trainer, file_logger)


def _try_loss(optimization: Optimization) -> None:
    """Compute the loss of two training data, so that networks that do not fit one another are found here."""
    data_set = get_split(optimization.data, "train")
    with undisturbed(optimization.model), torch.enable_grad():
        try:
            batch = get_batch(data_set, torch.arange(min(2, len(data_set))))
            optimization.model.compute_loss(batch, 0)
        except Exception as error:
            raise CompositionError(
                f"`optimization`: the loss of two training data can't be computed: {error}"
            ) from error


def _by_key(components: Mapping[str, Any] | Sequence[Any] | None, group: str) -> dict[str, Any]:
    """Name each component of a group, a mapping or a list, by its key; what was set to null is left out."""
    if components is None:
        return {}
    items = components.items() if isinstance(components, Mapping) else enumerate(components)
    return {f"{group}.{name}": component for name, component in items if component is not None}


def _check(key: str, component: Any, *arguments: Any, method: str = "check") -> None:
    """Let a component that can check itself do so."""
    check = getattr(component, method, None)
    if check is not None:
        try:
            check(*arguments)
        except (TypeError, ValueError) as error:
            raise CompositionError(f"`{key}`: {error}") from error


def _check_callbacks(callbacks: Mapping[str, Callback], optimization: Optimization) -> None:
    """Find before any training what would fail in it: a name used twice, a unit, a capability, a metric."""
    for key, callback in callbacks.items():
        _check(key, callback, optimization)
    evaluations = {key: callback for key, callback in callbacks.items() if isinstance(callback, EvaluationCallback)}
    keys_by_name: dict[str, str] = {}
    for key, evaluation in evaluations.items():
        other = keys_by_name.setdefault(evaluation.name, key)
        if other != key:
            raise CompositionError(f"`{key}.name`: {evaluation.name!r} is the name of `{other}` too.")
    for key, callback in callbacks.items():
        if isinstance(callback, BestCheckpoint) and callback.monitor is not None:
            _check_monitor(f"{key}.monitor", callback.monitor, list(keys_by_name))


def _check_monitor(key: str, monitor: str, names: Sequence[str]) -> None:
    """Check that a metric is one that an evaluation logs: a number under its name or below it."""
    if not any(monitor == name or monitor.startswith(f"{name}/") for name in names):
        logged = ", ".join(map(repr, names))
        raise CompositionError(f"`{key}`: nothing logs {monitor!r}; evaluations log {logged}.{suggest(monitor, names)}")


def _build_trainer(
    make_trainer: Callable[..., Trainer], callbacks: Mapping[str, Callback], loggers: Sequence[Logger], directory: Path
) -> Trainer:
    """Build the trainer with the callbacks that the config lists, less those that the trainer is told not to have."""
    told = cast(functools.partial[Trainer], make_trainer).keywords
    for option, place in {
        "logger": "`logger:`, and `logging=none` leaves all out",
        "callbacks": "`callbacks:`",
    }.items():
        if option in told:
            raise CompositionError(f"`trainer.{option}` is not for the Trainer here: they stand under {place}.")
    unwanted = tuple(kind for option, kind in _OPTIONAL_CALLBACKS.items() if told.get(option) is False)
    listed = [callback for callback in callbacks.values() if not isinstance(callback, unwanted)]
    arguments: dict[str, Any] = {
        "callbacks": listed,
        "logger": loggers,
        "default_root_dir": directory,
        **{
            option: any(isinstance(callback, kind) for callback in listed)
            for option, kind in _OPTIONAL_CALLBACKS.items()
        },
    }
    if "train_for" in callbacks:  # it alone decides how long
        arguments.update(max_epochs=-1, max_steps=-1, max_time=None)
    return construct(make_trainer, (), arguments, "trainer")
