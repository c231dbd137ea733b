"""Density of numbers in [0, 1], by the density of their logits."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.distributions import (
    AffineTransform,
    Distribution,
    ReshapeTransform,
    SigmoidTransform,
    Transform,
    TransformedDistribution,
)

from frame_core import MarginalDistribution, check_sizes


class LogitDensity(MarginalDistribution):
    """Density of data of a shape, such as images, whose logits have a density over vectors.

    For a vector z of the density, the data are x = (sigmoid(z) - margin) / (1 - 2 margin). They exceed [0, 1] by the
    margin, which keeps the logits of 0 and 1 finite.

    Args:
        density: Marginal of an event of shape (n_dimensions,), such as a `Flow`.
        x_shape: Shape of one example, with n_dimensions elements.
        margin: Distance from 0 and 1 that logits are not taken of.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, or ``margin`` is not between 0 and 0.5.

    References:
        Masked Autoregressive Flow for Density Estimation (Papamakarios et al., 2017), https://arxiv.org/abs/1705.07057
    """

    def __init__(self, density: nn.Module, x_shape: Sequence[int], margin: float = 1e-6) -> None:
        super().__init__()
        if not 0 < margin < 0.5:
            raise ValueError(f"`margin` must be between 0 and 0.5, got {margin!r}.")
        self.density = density
        self.x_shape = check_sizes("x_shape", x_shape)
        self.margin = margin

    def forward(self) -> Distribution:
        base = self.density()
        scale = 1 / (1 - 2 * self.margin)
        transforms: list[Transform] = [
            SigmoidTransform(),
            AffineTransform(-self.margin * scale, scale),
            ReshapeTransform(base.event_shape, torch.Size(self.x_shape)),
        ]
        return TransformedDistribution(base, transforms, validate_args=False)
