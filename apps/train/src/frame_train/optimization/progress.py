"""How far a training has come, and where what it finds goes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import torch
from pytorch_lightning import Trainer
from torch import Tensor

from frame_core import EntryLogger, LogEntry, Optimization, name_numbers
from frame_train.distributed import collectives
from frame_train.interval import Interval


def read_quantities(outputs: Mapping[str, Tensor], trainer: Trainer) -> dict[str, Tensor]:
    """Give what a training step computed, its loss as it was before Lightning divided it for accumulation.

    Where one trip through the Trainer's loop takes several steps, a quantity is a vector: a number for each.
    """
    if trainer.accumulate_grad_batches == 1 or not trainer.lightning_module.automatic_optimization:
        return dict(outputs)
    return {**outputs, "loss": outputs["loss"] * trainer.accumulate_grad_batches}


def get_trip_stride(callback: Any) -> int:
    """Give the number of steps after which a callback must be called; 0 where the end of an epoch is enough.

    It is the callback's ``trip_stride``; one that has none, as those of others, must be called after each step.
    """
    return getattr(callback, "trip_stride", 1)


@runtime_checkable
class EntryListener(Protocol):
    """A callback that takes notice of what is logged."""

    def on_log_entry(self, name: str, entry: LogEntry) -> None:
        """Take notice of an entry, at the step at which it is logged."""
        ...


@runtime_checkable
class ResumableLog(Protocol):
    """A logger that can tell how far its log has come, and take back what came after."""

    def get_position(self) -> Any:
        """Tell how far the log has come, in plain values; what was logged until now is on the disk then."""
        ...

    def cut_back(self, position: Any) -> None:
        """Take back everything that was logged after a position, before anything is logged."""
        ...


def list_logs(loggers: Sequence[Any]) -> dict[str, ResumableLog]:
    """List the loggers whose logs can be cut back, by the name of their class."""
    return {type(logger).__name__: logger for logger in loggers if isinstance(logger, ResumableLog)}


def cut_logs_back(loggers: Sequence[Any], checkpoint: Path) -> None:
    """Take back what was logged after a checkpoint, before a training goes on from it."""
    positions = torch.load(checkpoint, weights_only=True, mmap=True)["logs"]
    for key, logger in reversed(list_logs(loggers).items()):  # the files are last: others look into them
        if key in positions:
            logger.cut_back(positions[key])


def get_optimization(trainer: Trainer) -> Optimization:
    """Give the procedure that a trainer runs."""
    return cast(Optimization, trainer.lightning_module)


def read_progress(interval: Interval, trainer: Trainer, epoch_fraction: float) -> float:
    """Read the quantity that an interval is measured in: seconds, epochs, global steps or a counter.

    Args:
        interval: The interval.
        trainer: The trainer.
        epoch_fraction: How much of the present epoch is done.
    """
    if interval.counter is not None:
        return get_optimization(trainer).counters[interval.counter]
    if interval.unit == "seconds":
        return collectives.tell_time()
    if interval.unit == "global_steps":
        return trainer.global_step
    return trainer.current_epoch + epoch_fraction


def log_entry(name: str, entry: LogEntry, trainer: Trainer) -> None:
    """Give an entry to every logger that takes entries, and to every callback that listens to them.

    Its numbers are also where Lightning's own callbacks, such as `EarlyStopping`, look for what they monitor.
    """
    trainer.callback_metrics.update({key: torch.tensor(value) for key, value in name_numbers(name, entry).items()})
    for logger in trainer.loggers:
        if isinstance(logger, EntryLogger):
            logger.log(name, entry, trainer.global_step, get_optimization(trainer).counters)
    for callback in cast(Any, trainer).callbacks:
        if isinstance(callback, EntryListener):
            callback.on_log_entry(name, entry)
