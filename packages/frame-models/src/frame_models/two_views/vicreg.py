"""Variance, invariance and covariance regularization of two views (VICReg)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.functional import mse_loss

from frame_core import RepresentationLearningModel, check_positive
from frame_models.two_views.base import embed_views, sum_off_diagonal_squares

EPSILON = 1e-4
"""Added to the variance of each feature, so that the gradient of its square root is finite."""


class VICReg(RepresentationLearningModel):
    """Representation in which two views of an example are close, and whose features vary and are uncorrelated.

    The loss is the weighted sum of three terms. The invariance is the mean squared difference of the two embeddings.
    The variance is the mean over features of max(0, 1 - s), where s is the standard deviation of a feature over the
    batch. The covariance is the sum of the squared covariances of different features, divided by the number of
    features. The variance is averaged and the covariance summed over the views, as in the authors' code.

    Args:
        encoder: Representation, from (batch, \\*x_shape) to an event of shape (\\*z_shape,). Its mean is used; the
            usual choice is a `frame_core.Delta`.
        projector: From representations (batch, \\*z_shape) to a tensor of embeddings (batch, n_features). It is not
            needed after training.
        invariance_weight: Weight of the invariance.
        variance_weight: Weight of the variance.
        covariance_weight: Weight of the covariance.

    Raises:
        TypeError: A weight is not a number.
        ValueError: A weight is not positive and finite.

    References:
        VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning (Bardes et al., 2022),
        https://arxiv.org/abs/2105.04906, with https://github.com/facebookresearch/vicreg for the scale of each term
    """

    def __init__(
        self,
        encoder: nn.Module,
        projector: nn.Module,
        invariance_weight: float = 25.0,
        variance_weight: float = 25.0,
        covariance_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = projector
        self.invariance_weight = check_positive("invariance_weight", invariance_weight)
        self.variance_weight = check_positive("variance_weight", variance_weight)
        self.covariance_weight = check_positive("covariance_weight", covariance_weight)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of a batch with two views, ``data["v1"]`` and ``data["v2"]``.

        Returns:
            ``loss``, and the unweighted ``invariance``, ``variance`` and ``covariance``.

        Raises:
            TypeError: The encoder's distribution has no mean.
            ValueError: The batch lacks a view or has fewer than two examples, or a shape is wrong.
        """
        z_1, z_2 = embed_views(data, self.encoder, self.projector)
        invariance = mse_loss(z_1, z_2)
        variance = (compute_variance_loss(z_1) + compute_variance_loss(z_2)) / 2
        covariance = compute_covariance_loss(z_1) + compute_covariance_loss(z_2)
        return {
            "loss": self.invariance_weight * invariance
            + self.variance_weight * variance
            + self.covariance_weight * covariance,
            "invariance": invariance.detach(),
            "variance": variance.detach(),
            "covariance": covariance.detach(),
        }

    def encode(self, x: Tensor) -> Distribution:
        return self.encoder(x)


def compute_variance_loss(z: Tensor) -> Tensor:
    """Compute the mean of max(0, 1 - s) over features, where s is the standard deviation over the batch.

    Args:
        z: Embeddings of shape (batch, n_features).

    Returns:
        Scalar tensor.
    """
    return torch.relu(1 - (z.var(0) + EPSILON).sqrt()).mean()


def compute_covariance_loss(z: Tensor) -> Tensor:
    """Compute the sum of the squared covariances of different features, divided by the number of features.

    Args:
        z: Embeddings of shape (batch, n_features).

    Returns:
        Scalar tensor.
    """
    centered = z - z.mean(0)
    return sum_off_diagonal_squares(centered.T @ centered / (len(z) - 1)) / z.shape[1]
