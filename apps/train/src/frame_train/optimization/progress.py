"""Training progress."""

from collections.abc import Mapping
from typing import Any, cast

from pytorch_lightning import Trainer
from torch import Tensor

from frame_core import Interval, Optimization
from frame_train.distributed import collectives


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
