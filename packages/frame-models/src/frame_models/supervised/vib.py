"""Variational information bottleneck."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from frame_core import (
    ClassificationModel,
    RepresentationLearningModel,
    Schedule,
    check_count,
    check_non_negative,
    check_shapes,
    get_tensor,
    get_value,
)
from frame_models.supervised.bottleneck import average_predictions, compute_bottleneck_terms


class VariationalInformationBottleneck(RepresentationLearningModel, ClassificationModel):
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
        super().__init__()
        self.encoder = encoder
        self.predictor = predictor
        self.prior = prior
        self.beta = check_non_negative("beta", beta)
        self.n_samples = check_count("n_samples", n_samples)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss ``prediction + beta * regularization`` of a batch with ``x`` and labels ``y``.

        Raises:
            TypeError: The encoder's distribution cannot be reparameterized.
            ValueError: The batch has no ``x`` or ``y``, or the shapes of the distributions do not match each other or
                the data.
        """
        x, y = get_tensor(data, "x"), get_tensor(data, "y")
        q_z, p_z = self.encode(x), self.prior()
        check_shapes("encoder", q_z, x.shape[:1], q_z.event_shape)
        check_shapes("prior", p_z, torch.Size([]), q_z.event_shape)
        prediction, regularization = compute_bottleneck_terms(y, q_z, p_z, self.predictor, self.n_samples)
        return {
            "loss": prediction + get_value(self.beta) * regularization,
            "prediction": prediction.detach(),
            "regularization": regularization.detach(),
        }

    def encode(self, x: Tensor) -> Distribution:
        return self.encoder(x)

    def classify(self, data: Mapping[str, Tensor], n_samples: int = 1) -> Distribution:
        """Return the mean of q(y | z) over samples of z. The encoder runs once."""
        return average_predictions(self.encode(get_tensor(data, "x")), self.predictor, n_samples)
