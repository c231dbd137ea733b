"""Redundancy reduction between the features of two views (Barlow Twins)."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.distributions import Distribution

from frame_core import RepresentationLearningModel, check_positive
from frame_models.two_views.base import embed_views, sum_off_diagonal_squares

EPSILON = 1e-5
"""Added to the variance of each feature, as in batch normalization."""


class BarlowTwins(RepresentationLearningModel):
    """Representation whose features agree between two views of an example, and are uncorrelated with one another.

    C_ij is the correlation, over a batch, of feature i of the first view with feature j of the second. The loss is
    sum_i (1 - C_ii)^2 + redundancy_weight * sum_{i != j} C_ij^2. It compares embeddings, which the projector computes
    from the representations. The projector is not needed after training.

    Args:
        encoder: Representation, from (batch, \\*x_shape) to an event of shape (\\*z_shape,). Its mean is used; the
            usual choice is a `frame_core.Delta`.
        projector: From representations (batch, \\*z_shape) to a tensor of embeddings (batch, n_features).
        redundancy_weight: Weight of the correlations of different features.

    Raises:
        TypeError: ``redundancy_weight`` is not a number.
        ValueError: ``redundancy_weight`` is not positive and finite.

    References:
        Barlow Twins: Self-Supervised Learning via Redundancy Reduction (Zbontar et al., 2021),
        https://arxiv.org/abs/2103.03230
    """

    def __init__(self, encoder: nn.Module, projector: nn.Module, redundancy_weight: float = 5e-3) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = projector
        self.redundancy_weight = check_positive("redundancy_weight", redundancy_weight)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of a batch with two views, ``data["v1"]`` and ``data["v2"]``.

        Returns:
            ``loss``, ``invariance`` (the first sum) and ``redundancy`` (the second, without its weight).

        Raises:
            TypeError: The encoder's distribution has no mean.
            ValueError: The batch lacks a view or has fewer than two examples, or a shape is wrong.
        """
        correlation = compute_cross_correlation(*embed_views(data, self.encoder, self.projector))
        invariance = (1 - correlation.diagonal()).square().sum()
        redundancy = sum_off_diagonal_squares(correlation)
        return {
            "loss": invariance + self.redundancy_weight * redundancy,
            "invariance": invariance.detach(),
            "redundancy": redundancy.detach(),
        }

    def encode(self, x: Tensor) -> Distribution:
        return self.encoder(x)


def compute_cross_correlation(z_1: Tensor, z_2: Tensor) -> Tensor:
    """Compute the correlation over a batch of each feature of one view with each feature of the other.

    Args:
        z_1: Embeddings of the first views, of shape (batch, n_features).
        z_2: Embeddings of the second views, of the same shape.

    Returns:
        Tensor of shape (n_features, n_features), with a row for each feature of ``z_1``.
    """
    return _standardize(z_1).T @ _standardize(z_2) / len(z_1)


def _standardize(z: Tensor) -> Tensor:
    return (z - z.mean(0)) / (z.var(0, correction=0) + EPSILON).sqrt()
