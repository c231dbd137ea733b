"""The layers of the framework's networks, and functions of their outputs."""

from math import log, pi

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

MIN_SCALE = 1e-3
N_LABELS = 10
_LAYERS = (
    nn.Linear,
    nn.Conv2d,
    nn.ConvTranspose2d,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.ReLU,
    nn.LeakyReLU,
    nn.SiLU,
    nn.Sigmoid,
    nn.Unflatten,
)


def get_layers(network: nn.Module) -> nn.Sequential:
    """Return the layers of torch in a network, in order, without its distributions and checks."""
    return nn.Sequential(*(part for part in network.modules() if isinstance(part, _LAYERS)))


def split_normal(output: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the scale of a normal distribution, given the last layer of its network."""
    mean, raw_scale = output.chunk(2, dim=-1)
    return mean, softplus(raw_scale) + MIN_SCALE


def compute_divergence(mean: Tensor, scale: Tensor) -> Tensor:
    """Compute KL(N(mean, scale) || N(0, 1)), of shape (batch,)."""
    variance = scale.square()
    return 0.5 * (mean.square() + variance - variance.log() - 1).sum(1)


def compute_log_density(z: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """Compute the log density of each element of a normal distribution."""
    return -0.5 * ((z - mean) / scale).square() - scale.log() - 0.5 * log(2 * pi)


def compute_cross_entropy(logits: Tensor, x: Tensor) -> Tensor:
    """Compute the binary cross-entropy of a batch, as a mean of sums over the pixels."""
    return binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)


def encode_labels(y: Tensor) -> Tensor:
    """Return the one-hot codes of labels, as floats of shape (batch, 10)."""
    return torch.eye(N_LABELS).index_select(0, y)
