"""Base class of models that predict a label from a stochastic representation with little information."""

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution

from frame_core import (
    ClassificationModel,
    RepresentationLearningModel,
    Schedule,
    check_count,
    check_non_negative,
    check_shapes,
    get_tensor,
    get_value,
    kl_divergence,
    reparametrize,
)


class BottleneckModel(RepresentationLearningModel, ClassificationModel):
    """Representation that predicts the label of an example, and is near a reference distribution.

    The loss is E[-log q(y | z)] + beta * KL(q(z | x) || r(z | y)). The methods differ in the reference r.

    Args:
        encoder: Posterior q(z | x), from (batch, \\*x_shape) to an event of shape (\\*z_shape,) that can be
            reparameterized.
        predictor: Conditional q(y | z), from (batch, \\*z_shape) to a categorical distribution over labels.
        beta: Weight of the regularization term, a number or a schedule.
        n_samples: Number of samples of z per example, over which the loss is averaged.

    Raises:
        TypeError: ``beta`` is neither a number nor a schedule, or ``n_samples`` is not an integer.
        ValueError: ``beta`` is negative, or ``n_samples`` is not positive.
    """

    def __init__(self, encoder: nn.Module, predictor: nn.Module, beta: float | Schedule, n_samples: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.predictor = predictor
        self.beta = check_non_negative("beta", beta)
        self.n_samples = check_count("n_samples", n_samples)

    @abstractmethod
    def compute_reference(self, y: Tensor, z_shape: torch.Size) -> Distribution:
        """Compute r, the distribution that the posterior is compared with, of batch shape () or (batch,).

        Args:
            y: Labels of shape (batch,).
            z_shape: Shape of an event of the posterior.

        Raises:
            ValueError: Its shapes do not match.
        """

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss ``prediction + beta * regularization`` of a batch with ``x`` and labels ``y``.

        Raises:
            TypeError: The encoder's distribution cannot be reparameterized.
            ValueError: The batch has no ``x`` or ``y``, or the shapes of the distributions do not match each other or
                the data.
        """
        x, y = get_tensor(data, "x"), get_tensor(data, "y")
        q_z = self.encode(x)
        check_shapes("encoder", q_z, x.shape[:1], q_z.event_shape)
        reference = self.compute_reference(y, q_z.event_shape)
        z = reparametrize(q_z, "encoder", torch.Size([self.n_samples]))
        q_y = self.predictor(z.flatten(0, 1))
        check_shapes("predictor", q_y, torch.Size([self.n_samples * len(y)]), torch.Size([]))
        prediction = -q_y.log_prob(y.repeat(self.n_samples)).mean()
        regularization = kl_divergence(q_z, reference, z).mean()
        return {
            "loss": prediction + get_value(self.beta) * regularization,
            "prediction": prediction.detach(),
            "regularization": regularization.detach(),
        }

    def encode(self, x: Tensor) -> Distribution:
        return self.encoder(x)

    def classify(self, data: Mapping[str, Tensor], n_samples: int = 1) -> Distribution:
        """Return the mean of q(y | z) over samples of z. The encoder runs once.

        Raises:
            TypeError: ``n_samples`` is not an integer.
            ValueError: ``n_samples`` is not positive.
        """
        z = self.encode(get_tensor(data, "x")).sample(torch.Size([check_count("n_samples", n_samples)]))
        logits = self.predictor(z.flatten(0, 1)).logits.unflatten(0, z.shape[:2])
        # The logits are log probabilities, so this is the log of their mean up to a constant.
        return Categorical(logits=logits.logsumexp(0), validate_args=False)
