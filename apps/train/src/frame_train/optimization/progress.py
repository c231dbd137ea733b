"""Training progress."""

from collections.abc import Mapping
from typing import Any, cast

from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from frame_core import EvaluationView, Interval, Optimization, as_tensors
from frame_train.data.loaders import TrainLoader
from frame_train.distributed.collectives import get_collectives
from frame_train.optimization.lightning_internals import count_all_batches


def read_quantities(outputs: Any, trainer: Trainer) -> dict[str, Tensor]:
    """Return the numbers that a training step returned, on the device, with the loss as it was before accumulation.

    A number may be a float or a tensor. A quantity of a step group is a vector with an element for each step. Other
    values are omitted.
    """
    numbers = {
        name: value
        for name, value in cast(Mapping[str, Any], outputs or {}).items()
        if isinstance(value, int | float) or (isinstance(value, Tensor) and value.ndim < 2)
    }
    device = trainer.strategy.root_device
    quantities = {name: value.to(device) for name, value in as_tensors(numbers).items()}
    if "loss" in quantities and trainer.lightning_module.automatic_optimization:
        quantities["loss"] = quantities["loss"] * trainer.accumulate_grad_batches
    return quantities


def get_call_interval(callback: Any) -> int:
    """Return the number of steps after which a callback must be called; 0 if it is enough to call it after each epoch.

    It is the callback's `call_every`. A callback without that attribute, such as those of Lightning, must be called
    after each step.
    """
    return getattr(callback, "call_every", 1)


def counts_global_steps(callback: Any) -> bool:
    """Return whether the interval of a callback is a number of global steps."""
    return getattr(callback, "unit", None) == "global_steps"


def is_stop_requested(trainer: Trainer) -> bool:
    """Check whether a callback asks to stop before the current step group is complete."""
    callbacks: list[Any] = cast(Any, trainer).callbacks
    return any(getattr(callback, "is_stop_requested", False) for callback in callbacks)


def get_optimization(trainer: Trainer) -> Optimization:
    """Return the optimization that a trainer runs. If it has no counters, the trainer counts its iterations."""
    module = trainer.lightning_module
    return as_optimization(module, 0 if hasattr(module, "counters") else count_all_batches(trainer)[0])


def as_optimization(module: LightningModule, n_iterations: int = 0) -> Optimization:
    """Return a module as an optimization.

    Args:
        module: A module with ``model`` and ``data``.
        n_iterations: Its number of iterations, for a module without ``counters``.
    """
    if hasattr(module, "counters"):
        return cast(Optimization, module)
    return EvaluationView(cast(Any, module.model), cast(Any, module.data), {"iteration": n_iterations})


def begins_anywhere(trainer: Trainer) -> bool:
    """Return whether the training batches come from our loader, which can begin an epoch at any batch."""
    return isinstance(trainer.train_dataloader, TrainLoader)


def read_progress(interval: Interval, trainer: Trainer, epoch_fraction: float) -> float:
    """Read the progress of training in the unit of an interval: seconds, epochs, global steps or a counter.

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


def read_training_fraction(trainer: Trainer, epoch_fraction: float) -> float:
    """Read the fraction of training that is complete, in epochs or steps, whichever ends training earlier.

    Args:
        trainer: The trainer.
        epoch_fraction: Fraction of the current epoch that is complete.
    """
    n_epochs, n_steps = trainer.max_epochs or -1, trainer.max_steps
    of_epochs = (trainer.current_epoch + epoch_fraction) / n_epochs if n_epochs > 0 else 0.0
    return max(of_epochs, trainer.global_step / n_steps if n_steps > 0 else 0.0)
