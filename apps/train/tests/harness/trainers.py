"""Small trainings in this process, and a Trainer that logs, saves and prints nothing by default."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.callbacks import ProgressBar as LightningProgressBar
from torch import nn
from torch.utils.data import DataLoader, default_collate

from frame_architectures import DiagonalNormal, digits
from frame_core import LinearWarmup, Model
from frame_core.testing import TinyModel, make_tiny_data
from frame_models import GenerativeAdversarialNetwork, VariationalAutoencoder
from frame_train.callbacks.plain_module import PlainModuleSupport
from frame_train.data import Digits, InMemoryDataset, make_shuffled_loader
from frame_train.optimization import (
    AdamBatchOptimization,
    AdversarialOptimization,
    BatchOptimization,
    OptimizationModule,
)

DIGITS = {"train": Digits("train")}
BATCH_SIZE = 300
N_BATCHES = 5  # of an epoch of digits; the last one has 97
Adam = partial(torch.optim.Adam, lr=1e-3)

ignore_lightning_warnings = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:.*smaller than the logging interval",
    "ignore:.*your dataloader is not resumable",
    "ignore:.*overrides the configure_model",
    "ignore:.*LeafSpec.*:FutureWarning",
    "ignore::FutureWarning:pytorch_lightning",
)


def make_vae(beta: Any = 1.0) -> VariationalAutoencoder:
    return VariationalAutoencoder(digits.Encoder(2, [8]), digits.Decoder(2, [8]), DiagonalNormal(2), beta)


def make_adam(over: str = "12 iterations", **options: Any) -> AdamBatchOptimization:
    """Build the optimization of a VAE on digits whose beta is a schedule."""
    return AdamBatchOptimization(make_vae(LinearWarmup(0.0, 1.0, over)), DIGITS, 0, BATCH_SIZE, 1e-3, **options)


def make_batch(scheduler: Any = None, optimizer: Any = Adam, **options: Any) -> BatchOptimization:
    return BatchOptimization(make_vae(), DIGITS, 0, BATCH_SIZE, optimizer, scheduler, **options)


def make_adversarial(n_critic: int = 2, **options: Any) -> AdversarialOptimization:
    """Build the optimization of a GAN on digits, with a generator that takes every second step by default."""
    discriminator = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 1), nn.Flatten(0))
    gan = GenerativeAdversarialNetwork(digits.Decoder(2, [8]), discriminator, DiagonalNormal(2))
    return AdversarialOptimization(gan, DIGITS, 0, BATCH_SIZE, Adam, Adam, n_critic, **options)


class Plain(LightningModule):
    """A module that knows nothing of this framework, with a loader of torch."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.data = DIGITS

    def train_dataloader(self) -> Any:
        return DataLoader(self.data["train"], batch_size=BATCH_SIZE, shuffle=True)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return self.model.compute_loss(batch, batch_idx)["loss"]

    def configure_optimizers(self) -> Any:
        return Adam(self.model.parameters())


class PlainWithOurLoader(Plain):
    """A module that takes only the loader of its batches from this framework."""

    def train_dataloader(self) -> Any:
        return make_shuffled_loader(self.data["train"], BATCH_SIZE)


def make_tiny_split(n_examples: int) -> InMemoryDataset:
    return InMemoryDataset(default_collate(make_tiny_data(n_examples)))


def make_trainer(*callbacks: Callback, **options: Any) -> Trainer:
    defaults = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": any(isinstance(callback, Checkpoint) for callback in callbacks),
        "enable_progress_bar": any(isinstance(callback, LightningProgressBar) for callback in callbacks),
        "enable_model_summary": False,
    }
    return Trainer(callbacks=list(callbacks), **{**defaults, **options})


def fit(
    make: Callable[[], LightningModule], *callbacks: Callback, resume_from: Path | None = None, **options: Any
) -> Trainer:
    """Build an optimization from a fixed seed, and train it from its start or from a checkpoint."""
    seed_everything(0, verbose=False)
    optimization = make()
    support = [] if isinstance(optimization, OptimizationModule) else [PlainModuleSupport(optimization)]
    trainer = make_trainer(*callbacks, *support, **options)
    trainer.fit(optimization, ckpt_path=resume_from, weights_only=True)
    return trainer


class Losses(Callback):
    """Records the loss of each step (of the discriminator), and both counts of steps after each step group."""

    call_every = 0

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.steps: list[int] = []
        self.iterations: list[int] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.losses += outputs["loss" if "loss" in outputs else "discriminator_loss"].flatten().tolist()
        self.steps.append(trainer.global_step)
        self.iterations.append(pl_module.counters["iteration"])


def make_tiny_optimization(model: Model | None = None, **options: Any) -> AdamBatchOptimization:
    """Build an optimization with five batches in an epoch."""
    data = {"train": make_tiny_split(48)}
    arguments = {"data": data, "num_workers": 0, "batch_size": 10, "lr": 0.01, **options}
    return AdamBatchOptimization(model or TinyModel(), **arguments)


fit_tiny = partial(fit, make_tiny_optimization)
