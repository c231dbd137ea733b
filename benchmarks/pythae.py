"""The networks of MNIST_VAE in pythae, trained as its documentation shows, in a separate environment.

pythae: a library of autoencoders (Chadebec et al., 2022), https://arxiv.org/abs/2206.08309
"""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import BetaVAE, BetaVAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor, nn

from benchmarks.floor import BATCH_SIZE, BETA, LEARNING_RATE, Z_DIM, read_pictures


class Encoder(BaseEncoder):
    """Encoder that returns the mean and the log variance."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, 2 * Z_DIM)
        )

    def forward(self, x: Tensor) -> ModelOutput:
        mean, log_variance = self.network(x.flatten(1)).chunk(2, dim=1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class Decoder(BaseDecoder):
    """Decoder that returns the probabilities of the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(Z_DIM, 128), nn.ReLU(), nn.Linear(128, 1024), nn.ReLU(), nn.Linear(1024, 784), nn.Sigmoid()
        )

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.network(z).view(-1, 1, 28, 28))


class Ticker(TrainingCallback):
    """Callback that ticks after each training step."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self.tick = tick

    def on_train_step_end(self, *arguments: Any, **options: Any) -> None:
        self.tick()


def train(data_root: Path, directory: Path, tick: Callable[[], None]) -> None:
    """Train forever, and tick after each step."""
    pictures = read_pictures(data_root).view(-1, 1, 28, 28).float() / 255
    config = BetaVAEConfig(input_dim=(1, 28, 28), latent_dim=Z_DIM, reconstruction_loss="bce", beta=BETA)
    model = BetaVAE(config, encoder=Encoder(), decoder=Decoder())
    training = BaseTrainerConfig(
        output_dir=str(directory),
        per_device_train_batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        optimizer_cls="Adam",
        num_epochs=1_000_000,
    )
    data = BaseDataset(pictures, torch.zeros(len(pictures)))
    with contextlib.redirect_stderr(sys.stdout):  # like our progress bar
        BaseTrainer(model, data, training_config=training, callbacks=[Ticker(tick)]).train()
