"""Comparison of the losses written by hand with those of the models."""

from collections.abc import Sequence
from math import sqrt
from statistics import mean, variance
from types import SimpleNamespace

import torch
from torch import Tensor

from benchmarks.loops.method import Batch, Loss, Method
from benchmarks.loops.updates import split_parameters
from frame_core import AdversarialModel, Interval, Model, Schedule

EPOCH = 12.5
"""Number of complete epochs at which schedules are compared."""

N_ERRORS = 5
"""Greatest difference of two means, in standard errors."""


def compare_losses(model: Model, method: Method, settings: SimpleNamespace, batches: Sequence[Batch]) -> None:
    """Check that a loop computes the losses of a model.

    With the same random numbers, the losses and their gradients must be equal, batch by batch. Otherwise, their means
    over many draws must not differ by more than `N_ERRORS` standard errors.

    Raises:
        AssertionError: They differ.
    """
    by_hand = method.make_losses(model, settings)
    _advance_schedules(model, settings)
    for batch in batches:
        for (loss, trained), loss_by_hand in zip(_list_losses(model), by_hand, strict=True):
            if method.n_draws == 1:
                torch.testing.assert_close(_compute(loss_by_hand, batch, trained), _compute(loss, batch, trained))
            else:
                _compare_means(loss_by_hand, loss, batch, method.n_draws)


def _list_losses(model: Model) -> list[tuple[Loss, list[torch.nn.Parameter]]]:
    """Return the losses of a model, each with the parameters that it trains."""
    if isinstance(model, AdversarialModel):
        of_discriminator, others = split_parameters(model)
        return [
            (lambda batch, epoch: model.compute_discriminator_loss(batch, 0)["loss"], of_discriminator),
            (lambda batch, epoch: model.compute_generator_loss(batch, 0)["loss"], others),
        ]
    return [(lambda batch, epoch: model.compute_loss(batch, 0)["loss"], list(model.parameters()))]


def _advance_schedules(model: Model, settings: SimpleNamespace) -> None:
    for part in model.modules():
        if isinstance(part, Schedule):
            lasts = settings.n_epochs if part.over == Schedule.TRAINING else Interval.parse(part.over).amount
            part.advance_to(EPOCH / lasts)


def _compute(loss: Loss, batch: Batch, parameters: Sequence[torch.nn.Parameter]) -> list[Tensor]:
    """Compute a loss and its gradients, with fixed random numbers."""
    torch.manual_seed(0)
    value = loss(batch, EPOCH)
    return [value.detach(), *torch.autograd.grad(value, parameters)]


def _compare_means(loss: Loss, other: Loss, batch: Batch, n_draws: int) -> None:
    torch.manual_seed(0)
    values, others = ([each(batch, EPOCH).item() for _ in range(n_draws)] for each in (loss, other))
    error = sqrt((variance(values) + variance(others)) / n_draws)
    difference = abs(mean(values) - mean(others))
    assert difference <= N_ERRORS * error, f"The losses differ by {difference / error:.1f} standard errors."
