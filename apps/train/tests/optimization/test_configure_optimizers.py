"""What `configure_optimizers` may return, and what the Trainer may ask of each optimization."""

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from torch import nn, optim
from torch.optim.lr_scheduler import ExponentialLR, OneCycleLR, ReduceLROnPlateau

from frame_architectures import DiagonalNormal, digits
from frame_core import JointModel
from frame_models import GenerativeAdversarialNetwork
from frame_train.errors import CompositionError
from frame_train.experiment.dry_run import find_optimizer_problems, find_unoptimized
from frame_train.experiment.parts import Parts
from frame_train.optimization import AdversarialOptimization, BatchOptimization, OptimizationModule, warmup_cosine
from frame_train.optimization.progress import as_optimization
from trainers import (
    BATCH_SIZE,
    DIGITS,
    N_BATCHES,
    Adam,
    Plain,
    fit,
    ignore_lightning_warnings,
    make_adam,
    make_batch,
    make_trainer,
    make_vae,
)

pytestmark = ignore_lightning_warnings


def make_parts(module: Any, **options: Any) -> Parts:
    trainer = make_trainer(**{"max_epochs": 2, **options})
    return Parts(Path(), module, as_optimization(module), trainer=trainer)


FORMS: dict[str, Callable[[optim.Optimizer, Any], Any]] = {
    "an optimizer": lambda optimizer, scheduler: optimizer,
    "a list": lambda optimizer, scheduler: [optimizer],
    "a tuple": lambda optimizer, scheduler: (optimizer,),
    "two lists": lambda optimizer, scheduler: ([optimizer], [scheduler]),
    "two lists with options": lambda optimizer, scheduler: (
        [optimizer],
        [{"scheduler": scheduler, "interval": "step"}],
    ),
    "a dictionary": lambda optimizer, scheduler: {"optimizer": optimizer},
    "a dictionary with a scheduler": lambda optimizer, scheduler: {"optimizer": optimizer, "lr_scheduler": scheduler},
    "a dictionary with options": lambda optimizer, scheduler: {
        "optimizer": optimizer,
        "lr_scheduler": {"scheduler": scheduler, "interval": "step", "frequency": 2},
    },
    "a plateau": lambda optimizer, scheduler: {
        "optimizer": optimizer,
        "lr_scheduler": {"scheduler": ReduceLROnPlateau(optimizer), "monitor": "a metric"},
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_that_lightning_documents_is_accepted(form: str) -> None:
    class Formed(Plain):
        def configure_optimizers(self) -> Any:
            optimizer = super().configure_optimizers()
            return FORMS[form](optimizer, ExponentialLR(optimizer, 0.9))

    parts = make_parts(Formed(make_vae()))
    assert find_optimizer_problems(parts) == []
    assert find_unoptimized(parts) == []
    if form != "a plateau":  # no metric is logged
        assert fit(lambda: Formed(make_vae()), max_steps=2).global_step == 2


def test_no_optimizer_is_accepted() -> None:
    class Fixed(Plain):
        def configure_optimizers(self) -> None:
            return None

    parts = make_parts(Fixed(make_vae()))
    assert find_optimizer_problems(parts) == find_unoptimized(parts) == []


def test_any_other_form_is_reported() -> None:
    class Wrong(Plain):
        def configure_optimizers(self) -> str:
            return "Adam"

    (problem,) = find_optimizer_problems(make_parts(Wrong(make_vae())))
    assert "`optimization`: the optimizer can't be created: Unknown configuration" in str(problem)


@pytest.mark.parametrize(("total_steps", "n_problems"), [(10, 0), (9, 1)])
@pytest.mark.parametrize("module", [Plain, BatchOptimization])
def test_a_schedule_that_ends_before_the_training_is_reported(module: Any, total_steps: int, n_problems: int) -> None:
    make = partial(OneCycleLR, max_lr=0.1, total_steps=total_steps)

    class Cyclic(Plain):
        def configure_optimizers(self) -> Any:
            optimizer = super().configure_optimizers()
            return [optimizer], [{"scheduler": make(optimizer), "interval": "step"}]

    built = Cyclic(make_vae()) if module is Plain else make_batch(make, scheduler_interval="step")
    problems = find_optimizer_problems(make_parts(built))
    assert len(problems) == n_problems
    assert all("`total_steps` of `OneCycleLR` must be at least" in str(problem) for problem in problems)
    assert all("must be at least 10, its number of steps in training, got 9" in str(problem) for problem in problems)


def test_a_schedule_of_a_run_that_continues_with_fewer_processes_is_as_long_as_before() -> None:
    module = make_batch(partial(OneCycleLR, max_lr=0.1, total_steps=2 * 3), scheduler_interval="step")
    module.n_planned = 2
    assert find_optimizer_problems(make_parts(module)) == []


class TwoOptimizers(OptimizationModule):
    """Steps one optimizer for the encoder and another one for the decoder, with clipped gradients."""

    def __init__(self, model: Any, data: Any, num_workers: int, batch_size: int) -> None:
        super().__init__(model, data, num_workers, batch_size)
        self.automatic_optimization = False
        self.rates: list[float] = []

    def configure_optimizers(self) -> Any:
        n_steps = self.trainer.estimated_stepping_batches
        optimizers = [Adam(part.parameters()) for part in (self.model.encoder, self.model.decoder)]
        return optimizers, [warmup_cosine(optimizer, n_steps) for optimizer in optimizers]

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        quantities = self.model.compute_loss(batch, batch_idx)
        optimizers: Any = self.optimizers()
        for optimizer in optimizers:
            optimizer.zero_grad()
        self.manual_backward(quantities["loss"])
        for optimizer in optimizers:
            self.clip_gradients(optimizer, gradient_clip_val=1.0)
            optimizer.step()
        schedulers: Any = self.lr_schedulers()
        for scheduler in schedulers:
            scheduler.step()
        self.rates.append(optimizers[0].param_groups[0]["lr"])
        return quantities


def make_two() -> TwoOptimizers:
    return TwoOptimizers(make_vae(), DIGITS, 0, BATCH_SIZE)


def test_manual_optimization_knows_the_length_of_the_training() -> None:
    assert find_optimizer_problems(make_parts(make_two())) == []
    trainer = fit(make_two, max_epochs=2)
    module: Any = trainer.lightning_module
    assert module.counters == {"iteration": 2 * N_BATCHES}
    assert trainer.global_step == 2 * 2 * N_BATCHES
    assert module.rates[-1] == pytest.approx(0.0, abs=1e-9)
    assert all(before > after for before, after in zip(module.rates, module.rates[1:]))


def make_gan(**options: Any) -> AdversarialOptimization:
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(64, 1), nn.Flatten(0))
    model = GenerativeAdversarialNetwork(digits.Decoder(2, [8]), discriminator, DiagonalNormal(2))
    return AdversarialOptimization(model, DIGITS, 0, BATCH_SIZE, Adam, Adam, **options)


def make_joint() -> BatchOptimization:
    return BatchOptimization(JointModel({"one": make_vae(), "two": make_vae()}), DIGITS, 0, BATCH_SIZE, Adam)


SHIPPED: dict[str, Any] = {
    "adam": make_adam,
    "batch": make_batch,
    "fused": partial(make_batch, optimizer=partial(optim.AdamW, lr=1e-3, fused=True)),
    "lbfgs": partial(make_batch, optimizer=partial(optim.LBFGS, lr=1e-3, max_iter=2)),
    "joint": make_joint,
    "adversarial": make_gan,
    "two": make_two,
}
REFUSED = {
    ("fused", "clipping in mixed precision"),
    ("lbfgs", "accumulation"),
    ("adversarial", "clipping"),
    ("adversarial", "clipping in mixed precision"),
    ("adversarial", "accumulation"),
    ("two", "clipping"),
    ("two", "clipping in mixed precision"),
    ("two", "accumulation"),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "clipping": {"gradient_clip_val": 0.5},
    "clipping in mixed precision": {"gradient_clip_val": 0.5, "precision": "bf16-mixed"},
    "accumulation": {"accumulate_grad_batches": 2},
    "mixed precision": {"precision": "bf16-mixed"},
    "low precision": {"precision": "bf16-true"},
    "averages": {},
}


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("option", OPTIONS)
def test_each_optimization_does_what_the_trainer_asks_for_or_refuses_it_before_training(name: str, option: str) -> None:
    make, options = SHIPPED[name], OPTIONS[option]
    module = make()
    trainer = make_trainer(max_epochs=1, **options)
    refusals = find_optimizer_problems(Parts(Path(), module, module, trainer=trainer))
    assert bool(refusals) == ((name, option) in REFUSED)
    if refusals:
        assert all("`trainer." in str(refusal) for refusal in refusals)
        return
    before = {key: value.clone() for key, value in module.model.state_dict().items()}
    callbacks = [EMAWeightAveraging(decay=0.5)] if option == "averages" else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about the CPU
        trained = fit(lambda: module, *callbacks, max_epochs=1, limit_train_batches=2, **options)
    state = trained.lightning_module.model.state_dict()
    assert any(not torch.equal(value.float(), before[key].float()) for key, value in state.items())
    assert all(bool(value.isfinite().all()) for value in state.values())


def test_a_refusal_names_the_key() -> None:
    parts = make_parts(SHIPPED["lbfgs"](), accumulate_grad_batches=2)
    (problem,) = find_optimizer_problems(parts)
    assert isinstance(problem, CompositionError)
    assert problem.key == "trainer.accumulate_grad_batches"
