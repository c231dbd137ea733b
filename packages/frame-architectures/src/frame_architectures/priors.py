"""Priors of a representation."""

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, MixtureSameFamily, Normal
from torch.nn.functional import softplus

from frame_architectures.stochastic import MIN_SCALE
from frame_core import MarginalDistribution, check_count


class DiagonalNormal(MarginalDistribution):
    """Standard normal distribution N(0, I) over events of shape (z_dim,), without trainable parameters.

    Args:
        z_dim: Number of dimensions.

    Raises:
        TypeError: ``z_dim`` is not an integer.
        ValueError: ``z_dim`` is not positive.
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, z_dim: int) -> None:
        super().__init__()
        check_count("z_dim", z_dim)
        self.register_buffer("loc", torch.zeros(z_dim))
        self.register_buffer("scale", torch.ones(z_dim))

    def forward(self) -> Distribution:
        return Independent(Normal(self.loc, self.scale, validate_args=False), 1, validate_args=False)


class MixtureOfGaussians(MarginalDistribution):
    """Trainable mixture of normal distributions with diagonal covariance over events of shape (z_dim,).

    It is initialized with equal weights, means sampled from N(0, I) and scales of one.

    Args:
        z_dim: Number of dimensions.
        n_components: Number of normal distributions.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive.
    """

    def __init__(self, z_dim: int, n_components: int) -> None:
        super().__init__()
        shape = (check_count("n_components", n_components), check_count("z_dim", z_dim))
        self.logits = nn.Parameter(torch.zeros(n_components))
        self.loc = nn.Parameter(torch.randn(shape))
        self.raw_scale = nn.Parameter(torch.full(shape, 1 - MIN_SCALE).expm1().log())  # a scale of one

    def forward(self) -> Distribution:
        components = Normal(self.loc, softplus(self.raw_scale) + MIN_SCALE, validate_args=False)
        return MixtureSameFamily(
            Categorical(logits=self.logits, validate_args=False),
            Independent(components, 1, validate_args=False),
            validate_args=False,
        )
