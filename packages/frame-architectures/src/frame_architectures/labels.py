"""The ten labels of the digits, MNIST and Fashion-MNIST: as the output of a network, and as an input."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn.functional import one_hot

from frame_architectures.mlp import make_mlp_predictor
from frame_architectures.stochastic import StochasticLinear
from frame_core import ConditionalDistribution, check_count

__all__ = ["N_LABELS", "LabelEncoder", "LabelPredictor"]

N_LABELS = 10


class LabelPredictor(ConditionalDistribution):
    """Fully connected network from a representation (\\*batch, z_dim) to a categorical distribution over labels.

    Args:
        z_dim: Number of dimensions of the representation.
        layers: Number of units in each hidden layer; [] makes the network linear.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive.
    """

    def __init__(self, z_dim: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.network = make_mlp_predictor((check_count("z_dim", z_dim),), layers, N_LABELS)

    def forward(self, z: Tensor) -> Distribution:
        return self.network(z)


class LabelEncoder(ConditionalDistribution):
    """A normal distribution of event shape (z_dim,) for each label (\\*batch,), with a trainable mean and scale.

    Args:
        z_dim: Number of dimensions of the representation.

    Raises:
        TypeError: ``z_dim`` is not an integer.
        ValueError: ``z_dim`` is not positive.
    """

    def __init__(self, z_dim: int) -> None:
        super().__init__()
        self.linear = StochasticLinear(N_LABELS, check_count("z_dim", z_dim), "Normal")

    def forward(self, y: Tensor) -> Distribution:
        return self.linear(one_hot(y, N_LABELS).to(self.linear.linear.weight.dtype))


def append_label(features: Tensor, y: Tensor) -> Tensor:
    """Append the one-hot code of labels (\\*batch,) to features (\\*batch, n_features)."""
    return torch.cat([features, one_hot(y, N_LABELS).to(features.dtype)], dim=-1)
