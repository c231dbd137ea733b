"""The floor: the networks of MNIST_VAE in plain PyTorch, on in-memory tensors, with fused Adam."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

N_TRAIN = 50_000
BATCH_SIZE = 128
Z_DIM = 64
BETA = 0.5
LEARNING_RATE = 1e-3


class VAE(nn.Module):
    """Variational autoencoder of flattened images."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, 2 * Z_DIM)
        )
        self.decoder = nn.Sequential(
            nn.Linear(Z_DIM, 128), nn.ReLU(), nn.Linear(128, 1024), nn.ReLU(), nn.Linear(1024, 784)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the reconstruction and the regularization term of a batch of shape (batch, 784)."""
        mean, raw_scale = self.encoder(x).chunk(2, dim=1)
        scale = softplus(raw_scale) + 1e-6
        z = mean + scale * torch.randn_like(scale)
        reconstruction = binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum") / len(x)
        variance = scale.square()
        regularization = 0.5 * (mean.square() + variance - variance.log() - 1).sum() / len(x)
        return reconstruction, regularization


def train(
    data_root: Path, directory: Path, tick: Callable[[], None], batch_size: str = "128", copies: str = "1"
) -> None:
    """Train forever on copies of the training images, and tick after each step."""
    torch.manual_seed(0)
    pictures = read_pictures(data_root).repeat(int(copies), 1)
    model = VAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    while True:
        for indices in torch.randperm(len(pictures)).split(int(batch_size)):
            reconstruction, regularization = model(get_batch(pictures, indices))
            optimizer.zero_grad()
            (reconstruction + BETA * regularization).backward()
            optimizer.step()
            tick()


def load(data_root: Path, directory: Path, tick: Callable[[], None]) -> None:
    """Load batches forever, and tick after each."""
    pictures = read_pictures(data_root)
    while True:
        for indices in torch.randperm(N_TRAIN).split(BATCH_SIZE):
            get_batch(pictures, indices)
            tick()


def read_pictures(data_root: Path) -> Tensor:
    """Read the training images: uint8 of shape (n_train, 784)."""
    content = (data_root / "MNIST" / "raw" / "train-images-idx3-ubyte").read_bytes()
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=16).view(-1, 784)[:N_TRAIN]


def get_batch(pictures: Tensor, indices: Tensor) -> Tensor:
    """Return images as floats in [0, 1]."""
    return pictures.index_select(0, indices).float().div_(255)
