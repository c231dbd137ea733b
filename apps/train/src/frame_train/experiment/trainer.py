"""The trainer of an experiment."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint, ProgressBar
from pytorch_lightning.loggers import Logger

from frame_train.composition.objects import construct_target
from frame_train.errors import CompositionError, raise_any
from frame_train.experiment.compatibility import run_check
from frame_train.optimization.lightning_internals import NoProfiler

_OPTIONAL_CALLBACKS = {"enable_checkpointing": Checkpoint, "enable_progress_bar": ProgressBar}

_STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true", "ddp_find_unused_parameters_false")
_NO_LOOP = "there is no loop of validation or test; each evaluation has `evaluate_every`"
_NOT_FOR_THE_TRAINER = {
    "logger": "loggers stand under `logger:`, and `logging=none` leaves all out",
    "callbacks": "callbacks stand under `callbacks:`",
    "default_root_dir": "`device.runs_root` says where runs are written",
    "fast_dev_run": "`trainer.max_steps=2` tries an experiment, `train --check` without its data",
    "log_every_n_steps": "`callbacks.training_log.log_every` says how often quantities are logged",
    **dict.fromkeys(
        (
            "limit_val_batches",
            "limit_test_batches",
            "limit_predict_batches",
            "val_check_interval",
            "check_val_every_n_epoch",
        ),
        _NO_LOOP,
    ),
}


def check_trainer(optimization: LightningModule, trainer: Trainer) -> None:
    """Let a procedure say what it can't do of what a trainer asks for.

    Raises:
        CompositionError: There is such a thing.
    """
    raise_any(run_check("trainer", optimization, trainer, method="check_trainer"))


def build_trainer(
    make_trainer: Callable[..., Trainer],
    callbacks: Mapping[str, Callback],
    loggers: Sequence[Logger],
    directory: Path,
    **others: Any,
) -> Trainer:
    """Build the trainer with the callbacks that the config lists, less those that the trainer is told not to have.

    Args:
        make_trainer: The trainer of the config, still to be called.
        callbacks: The callbacks by their keys.
        loggers: The loggers.
        directory: Where the run is written.
        others: Arguments of the trainer that are other than the config says.

    Raises:
        CompositionError: The trainer can't be built.
    """
    told = cast(functools.partial[Trainer], make_trainer).keywords
    problems = [
        CompositionError(f"`trainer.{option}` is not for the Trainer here: {instead}.", f"trainer.{option}")
        for option, instead in _NOT_FOR_THE_TRAINER.items()
        if told.get(option) is not None
    ]
    raise_any(problems)
    devices = told.get("devices", "auto")
    if devices == 0 or (isinstance(devices, int) and devices < -1):
        message = "`trainer.devices` must be a positive number, a list of devices, -1 for all or 'auto', got"
        raise CompositionError(f"{message} {devices!r}.", "trainer.devices")
    strategy = told.get("strategy", "auto")
    if isinstance(strategy, str) and strategy not in _STRATEGIES:
        choices = ", ".join(map(repr, _STRATEGIES))
        message = f"`trainer.strategy` must be one of {choices}, got {strategy!r}."
        if strategy.startswith("fsdp"):
            message += " Each process must have the whole model: evaluations, averages and checkpoints here look at it."
        raise CompositionError(message, "trainer.strategy")
    unwanted = tuple(kind for option, kind in _OPTIONAL_CALLBACKS.items() if told.get(option) is False)
    listed = [callback for callback in callbacks.values() if not isinstance(callback, unwanted)]
    arguments: dict[str, Any] = {
        "callbacks": listed,
        "logger": loggers,
        "default_root_dir": directory,
        "profiler": told.get("profiler") or NoProfiler(),
        **others,
        **{
            option: any(isinstance(callback, kind) for callback in listed)
            for option, kind in _OPTIONAL_CALLBACKS.items()
        },
    }
    if "train_for" in callbacks:  # it alone decides how long
        arguments.update(max_epochs=-1, max_steps=-1, max_time=None, min_epochs=None, min_steps=None)
    try:
        return construct_target(make_trainer, (), arguments, "trainer")
    except CompositionError as error:
        if told.get("accelerator") in ("auto", "cpu", None):
            raise
        message = f"`trainer.accelerator` is {told['accelerator']!r}, and this machine: {error.__cause__}"
        raise CompositionError(f"{message} `device=default` runs on any machine.", "trainer.accelerator") from error
