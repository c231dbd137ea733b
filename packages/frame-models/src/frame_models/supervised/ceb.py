"""Conditional entropy bottleneck (CEB)."""

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from frame_core import Schedule, check_shapes
from frame_models.supervised.bottleneck import BottleneckModel


class ConditionalEntropyBottleneck(BottleneckModel):
    """Representation that predicts the label of an example, and keeps little information that the label lacks.

    The loss is E[-log q(y | z)] + beta * KL(q(z | x) || b(z | y)). Up to a constant, it is an upper bound on
    -I(z; y) + beta * I(z; x | y). The variational information bottleneck has a prior p(z) in place of b(z | y), so it
    also penalizes the information about the label.

    Args:
        encoder: Posterior q(z | x), from (batch, \\*x_shape) to an event of shape (\\*z_shape,) that can be
            reparameterized.
        predictor: Conditional q(y | z), from (batch, \\*z_shape) to a categorical distribution over labels.
        backward_encoder: Conditional b(z | y), from labels (batch,) to an event of shape (\\*z_shape,).
        beta: Weight of the regularization term, a number or a schedule; exp(-rho) in the notation of the author.
        n_samples: Number of samples of z per example, over which the loss is averaged.

    Raises:
        TypeError: ``beta`` is neither a number nor a schedule, or ``n_samples`` is not an integer.
        ValueError: ``beta`` is negative, or ``n_samples`` is not positive.

    References:
        The Conditional Entropy Bottleneck (Fischer, 2020), https://arxiv.org/abs/2002.05379
    """

    def __init__(
        self,
        encoder: nn.Module,
        predictor: nn.Module,
        backward_encoder: nn.Module,
        beta: float | Schedule,
        n_samples: int = 1,
    ) -> None:
        super().__init__(encoder, predictor, beta, n_samples)
        self.backward_encoder = backward_encoder

    def compute_reference(self, y: Tensor, z_shape: torch.Size) -> Distribution:
        b_z = self.backward_encoder(y)
        check_shapes("backward_encoder", b_z, y.shape, z_shape)
        return b_z
