"""Schedules of the learning rate, and the length of training that they need."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from math import ceil, cos, inf, pi
from typing import Any, cast

from pytorch_lightning import Trainer
from pytorch_lightning.utilities.types import LRSchedulerConfig
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from frame_train.errors import CompositionError
from frame_train.optimization.lightning_internals import count_epoch_batches

_TOTALS = ("total_steps", "T_max")


def warmup_cosine(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.05, final_fraction: float = 0.0
) -> LRScheduler:
    """Make a schedule that raises the learning rate linearly and then lowers it along half a cosine.

    Args:
        optimizer: The optimizer, with the highest learning rate of each of its groups.
        total_steps: Number of training steps. `BatchOptimization` sets it.
        warmup_fraction: Fraction of the steps in which the rate rises.
        final_fraction: The rate after the last step, as a fraction of the highest one.

    Raises:
        ValueError: A fraction is not in [0, 1].

    References:
        SGDR: Stochastic Gradient Descent with Warm Restarts (Loshchilov & Hutter, 2017),
        https://arxiv.org/abs/1608.03983
    """
    for name, fraction in (("warmup_fraction", warmup_fraction), ("final_fraction", final_fraction)):
        if not 0 <= fraction <= 1:
            raise ValueError(f"`{name}` must be at least 0 and at most 1, got {fraction!r}.")
    n_warmup = round(warmup_fraction * total_steps)

    def compute_factor(step: int) -> float:
        if step < n_warmup:
            return (step + 1) / n_warmup
        passed = min((step - n_warmup) / max(total_steps - n_warmup, 1), 1.0)
        return final_fraction + (1 - final_fraction) * (1 + cos(pi * passed)) / 2

    return LambdaLR(optimizer, compute_factor)


def count_schedule_steps(trainer: Trainer, interval: str) -> float:
    """Return the number of steps of a schedule of the learning rate in training; infinity if it is unknown.

    Args:
        trainer: The trainer, to which a module is attached.
        interval: Whether the schedule takes a step after each ``step`` or after each ``epoch``.
    """
    n_steps = trainer.estimated_stepping_batches
    if interval == "step" or n_steps == inf:
        return n_steps
    if trainer.max_steps == -1:
        return cast(int, trainer.max_epochs)
    return ceil(n_steps / ceil(count_epoch_batches(trainer) / trainer.accumulate_grad_batches))


def make_scheduler(
    make: Callable[..., LRScheduler], optimizer: Optimizer, trainer: Trainer | None, interval: str
) -> LRScheduler:
    """Make a schedule, with the length of training as ``total_steps`` or ``T_max`` if that argument is missing.

    Args:
        make: Function that makes the schedule of an optimizer.
        optimizer: The optimizer.
        trainer: The trainer; None to set no argument.
        interval: Whether the schedule takes a step after each ``step`` or after each ``epoch``.

    Raises:
        ValueError: The length of training is unknown.
    """
    given = {name for name, value in (make.keywords if isinstance(make, partial) else {}).items() if value is not None}
    missing = [name for name in _TOTALS if name in inspect.signature(make).parameters and name not in given]
    if trainer is None or not missing or "steps_per_epoch" in given:
        return make(optimizer)
    n_steps = count_schedule_steps(trainer, interval)
    if n_steps == inf:
        raise ValueError(
            f"`scheduler.{missing[0]}` must be set, because the length of training is unknown. Or set "
            "`trainer.max_epochs` or `trainer.max_steps`, and no `train_for`."
        )
    return make(optimizer, **{missing[0]: int(n_steps)})


def check_lengths(schedules: Iterable[LRSchedulerConfig], trainer: Trainer) -> None:
    """Check that no schedule of automatic optimization, such as `OneCycleLR`, ends before training.

    Raises:
        CompositionError: A schedule does.
    """
    for schedule in schedules:
        _check_length(schedule, getattr(schedule.scheduler, "total_steps", None), trainer)


def check_restored_lengths(checkpoint: Mapping[str, Any], trainer: Trainer) -> None:
    """Check that no schedule in a checkpoint ends before training, which may be longer now.

    Raises:
        CompositionError: A schedule does.
    """
    if trainer.lightning_module.automatic_optimization:
        for schedule, state in zip(trainer.lr_scheduler_configs, checkpoint.get("lr_schedulers", ())):
            _check_length(schedule, state.get("total_steps"), trainer)


def _check_length(schedule: LRSchedulerConfig, n_steps: int | None, trainer: Trainer) -> None:
    if n_steps is None:
        return
    n_needed = count_schedule_steps(trainer, schedule.interval) // schedule.frequency
    if n_steps < n_needed:
        raise CompositionError(
            f"`optimization`: `total_steps` of `{type(schedule.scheduler).__name__}` must be at least {n_needed:.0f}, "
            f"its number of steps in training, got {n_steps}. It would fail after its last step.",
            "optimization",
        )
