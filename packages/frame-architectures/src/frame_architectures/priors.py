"""Marginal distributions of a representation."""

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from frame_architectures.sizes import check_size
from frame_core import MarginalDistribution


class DiagonalNormal(MarginalDistribution):
    """Standard normal distribution N(0, I) over events of shape (z_dim,), with nothing to train.

    Args:
        z_dim: Number of dimensions.

    Raises:
        TypeError: ``z_dim`` is no integer.
        ValueError: It is not positive.
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, z_dim: int) -> None:
        super().__init__()
        check_size("z_dim", z_dim)
        self.register_buffer("loc", torch.zeros(z_dim))
        self.register_buffer("scale", torch.ones(z_dim))

    def forward(self) -> Distribution:
        return Independent(Normal(self.loc, self.scale, validate_args=False), 1, validate_args=False)
