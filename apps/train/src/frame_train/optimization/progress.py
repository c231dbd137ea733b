"""Training progress."""

from collections.abc import Mapping
from typing import Any, cast

from pytorch_lightning import Trainer
from torch import Tensor

from frame_core import Interval, Optimization, as_tensors
from frame_train.distributed.collectives import get_collectives


def read_quantities(outputs: Mapping[str, Tensor | float], trainer: Trainer) -> dict[str, Tensor]:
    """Return what a training step computed, with the loss as it was before Lightning divided it for accumulation.

    A quantity of a step group is a vector with an element for each step.
    """
    quantities = as_tensors(outputs)
    if trainer.accumulate_grad_batches > 1 and trainer.lightning_module.automatic_optimization:
        quantities["loss"] = quantities["loss"] * trainer.accumulate_grad_batches
    return quantities


def get_call_interval(callback: Any) -> int:
    """Return the number of steps after which a callback must be called, or 0 if the end of an epoch is enough.

    It is the callback's `call_every`. A callback without it, such as Lightning's own, must be called after each
    step.
    """
    return getattr(callback, "call_every", 1)


def is_stop_requested(trainer: Trainer) -> bool:
    """Check whether a callback asks to stop before the current step group is complete."""
    callbacks: list[Any] = cast(Any, trainer).callbacks
    return any(getattr(callback, "is_stop_requested", False) for callback in callbacks)


def get_optimization(trainer: Trainer) -> Optimization:
    """Return the optimization that a trainer runs."""
    return cast(Optimization, trainer.lightning_module)


def read_progress(interval: Interval, trainer: Trainer, epoch_fraction: float) -> float:
    """Read the quantity that an interval is measured in: seconds, epochs, global steps or a counter.

    Args:
        interval: The interval.
        trainer: The trainer.
        epoch_fraction: Fraction of the current epoch that is complete.
    """
    if interval.counter is not None:
        return get_optimization(trainer).counters[interval.counter]
    if interval.unit == "seconds":
        return get_collectives(trainer).read_clock()
    if interval.unit == "global_steps":
        return trainer.global_step
    return trainer.current_epoch + epoch_fraction
