"""Schedules of the learning rate, which know the length of the training."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from torch import nn, optim
from torch.optim import lr_scheduler

from frame_core.testing import TinyModel
from frame_train.optimization import BatchOptimization, warmup_cosine
from trainers import fit, ignore_lightning_warnings, make_tiny_split

pytestmark = ignore_lightning_warnings
SGD = partial(optim.SGD, lr=0.1)


class Rates(Callback):
    """Records the learning rate of each optimizer step."""

    call_every = 0

    def __init__(self) -> None:
        self.rates: list[float] = []

    def on_before_optimizer_step(self, trainer: Trainer, module: Any, optimizer: optim.Optimizer) -> None:
        self.rates.append(optimizer.param_groups[0]["lr"])


def make_optimization(n_examples: int = 48, **options: Any) -> BatchOptimization:
    arguments = {"optimizer": SGD, "scheduler_interval": "step", **options}
    return BatchOptimization(TinyModel(), {"train": make_tiny_split(n_examples)}, 0, 10, **arguments)


def train_rates(scheduler: Any, trainer_options: dict[str, Any], **options: Any) -> list[float]:
    rates = Rates()
    fit(lambda: make_optimization(scheduler=scheduler, **options), rates, **trainer_options)
    return rates.rates


@pytest.mark.parametrize("n_steps", [1, 7, 40, 100])
@pytest.mark.parametrize(("warmup", "final"), [(0.0, 0.0), (0.1, 0.0), (0.5, 0.25), (1.0, 0.1)])
def test_the_rate_rises_linearly_and_falls_along_half_a_cosine(n_steps: int, warmup: float, final: float) -> None:
    optimizer = SGD([nn.Parameter(torch.zeros(()))])
    scheduler = warmup_cosine(optimizer, n_steps, warmup, final)
    rates: list[float] = []
    for _ in range(n_steps):
        rates.append(optimizer.param_groups[0]["lr"] / 0.1)
        optimizer.step()
        scheduler.step()
    n_warmup = round(warmup * n_steps)
    assert rates[:n_warmup] == pytest.approx([(step + 1) / n_warmup for step in range(n_warmup)])
    middle = (1 + final) / 2
    amplitude = (1 - final) / 2
    n_decay = n_steps - n_warmup
    assert rates[n_warmup:] == pytest.approx(
        [middle + amplitude * math.cos(math.pi * i / n_decay) for i in range(n_decay)]
    )
    if n_decay:
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * final, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "value"), [("warmup_fraction", -0.1), ("warmup_fraction", 5), ("final_fraction", 2.0)]
)
def test_a_fraction_out_of_its_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be at least 0 and at most 1, got {value}"):
        warmup_cosine(SGD([nn.Parameter(torch.zeros(()))]), 10, **{name: value})


@pytest.mark.parametrize(
    ("options", "n_steps"),
    [
        ({"max_epochs": 4}, 20),
        ({"max_steps": 13}, 13),
        ({"max_epochs": 4, "max_steps": 7}, 7),
        ({"max_epochs": 3, "accumulate_grad_batches": 2}, 9),
        ({"max_epochs": 3, "limit_train_batches": 3}, 9),
    ],
    ids=str,
)
@pytest.mark.parametrize("steps_per_execution", [1, 4])
def test_the_number_of_steps_is_known_when_the_optimizer_is_made(
    options: dict[str, Any], n_steps: int, steps_per_execution: int
) -> None:
    known: list[Any] = []

    class Counting(BatchOptimization):
        def configure_optimizers(self) -> Any:
            known.append(self.trainer.estimated_stepping_batches)
            return super().configure_optimizers()

    data = {"train": make_tiny_split(48)}
    make = partial(Counting, TinyModel(), data, 0, 10, SGD, steps_per_execution=steps_per_execution)
    trainer = fit(make, **options)
    assert known == [n_steps]
    assert trainer.global_step == n_steps


def test_the_length_of_the_training_is_filled_in() -> None:
    cosine = partial(lr_scheduler.CosineAnnealingLR)
    expected = [0.05 * (1 + math.cos(math.pi * step / 10)) for step in range(10)]
    assert train_rates(cosine, {"max_epochs": 2}) == pytest.approx(expected)
    assert train_rates(partial(cosine, T_max=10), {"max_epochs": 2}) == pytest.approx(expected)
    by_epoch = train_rates(cosine, {"max_epochs": 2}, scheduler_interval="epoch")
    assert by_epoch == pytest.approx([0.1] * 5 + [0.05] * 5)
    one_cycle = train_rates(partial(lr_scheduler.OneCycleLR, max_lr=0.1), {"max_epochs": 2})
    assert max(one_cycle) == pytest.approx(0.1)
    with_epochs = partial(lr_scheduler.OneCycleLR, max_lr=0.1, epochs=2, steps_per_epoch=5)
    assert train_rates(with_epochs, {"max_epochs": 2}) == one_cycle
    grouped = train_rates(warmup_cosine, {"max_epochs": 2}, steps_per_execution=4)
    assert grouped == train_rates(warmup_cosine, {"max_epochs": 2})


def test_the_length_of_a_training_without_an_end_is_unknown() -> None:
    with pytest.raises(
        ValueError, match=r"`scheduler.total_steps` must be set, because the length of training is unknown"
    ):
        fit(lambda: make_optimization(scheduler=warmup_cosine), max_epochs=-1)


def test_without_a_trainer_nothing_is_filled_in() -> None:
    with pytest.raises(TypeError, match="total_steps"):
        make_optimization(scheduler=warmup_cosine).configure_optimizers()
