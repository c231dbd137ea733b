"""Variational information bottleneck."""

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from frame_core import Schedule, check_shapes
from frame_models.supervised.bottleneck import BottleneckModel


class VariationalInformationBottleneck(BottleneckModel):
    """Representation that predicts the label of an example and keeps little other information.

    The loss is E[-log q(y | z)] + beta * KL(q(z | x) || p(z)). Up to a constant, it is an upper bound on
    -I(z; y) + beta * I(z; x).

    Args:
        encoder: Posterior q(z | x), from (batch, \\*x_shape) to an event of shape (\\*z_shape,) that can
            be reparameterized.
        predictor: Conditional q(y | z), from (batch, \\*z_shape) to a categorical distribution over labels.
        prior: Marginal p(z), an event of shape (\\*z_shape,).
        beta: Weight of the regularization term, a number or a schedule.
        n_samples: Number of samples of z per example, over which the loss is averaged.

    Raises:
        TypeError: ``beta`` is neither a number nor a schedule, or ``n_samples`` is not an integer.
        ValueError: ``beta`` is negative, or ``n_samples`` is not positive.

    References:
        Deep Variational Information Bottleneck (Alemi et al., 2017), https://arxiv.org/abs/1612.00410
    """

    def __init__(
        self, encoder: nn.Module, predictor: nn.Module, prior: nn.Module, beta: float | Schedule, n_samples: int = 1
    ) -> None:
        super().__init__(encoder, predictor, beta, n_samples)
        self.prior = prior

    def compute_reference(self, y: Tensor, z_shape: torch.Size) -> Distribution:
        p_z = self.prior()
        check_shapes("prior", p_z, torch.Size([]), z_shape)
        return p_z
