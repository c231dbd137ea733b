"""The usual tutorial: torchvision's data set, a loader without workers, a LightningModule that logs three values."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor

from benchmarks.floor import BATCH_SIZE, BETA, LEARNING_RATE, N_TRAIN, VAE
from benchmarks.ticker import Ticker


class Module(LightningModule):
    """The model of the floor as a LightningModule, as tutorials write it."""

    def __init__(self) -> None:
        super().__init__()
        self.model = VAE()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        x, _ = batch
        reconstruction, regularization = self.model(x.flatten(1))
        loss = reconstruction + BETA * regularization
        self.log("train/loss", loss, prog_bar=True)
        self.log("train/reconstruction", reconstruction)
        self.log("train/regularization", regularization)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=LEARNING_RATE)


def train(data_root: Path, directory: Path, tick: Callable[[int], None]) -> None:
    """Train forever, and tick after each step."""
    _train(data_root, directory, tick, "cpu")


def train_on_gpu(data_root: Path, directory: Path, tick: Callable[[int], None]) -> None:
    """Train forever on a GPU, and tick after each step."""
    _train(data_root, directory, tick, "gpu")


def load(data_root: Path, directory: Path, tick: Callable[[], None]) -> None:
    """Load batches forever, and tick after each."""
    loader = make_loader(data_root)
    while True:
        for _ in loader:
            tick()


def _train(data_root: Path, directory: Path, tick: Callable[[int], None], accelerator: str) -> None:
    torch.manual_seed(0)
    trainer = Trainer(accelerator=accelerator, max_epochs=-1, default_root_dir=directory, callbacks=[Ticker(tick)])
    trainer.fit(Module(), make_loader(data_root))


def make_loader(data_root: Path) -> DataLoader[Any]:
    """Make the loader of shuffled training batches."""
    data_set = Subset(MNIST(str(data_root), train=True, transform=ToTensor()), range(N_TRAIN))
    return DataLoader(data_set, batch_size=BATCH_SIZE, shuffle=True)
