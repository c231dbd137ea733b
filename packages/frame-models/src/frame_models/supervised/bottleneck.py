"""Loss and predictions of models that predict a label from a stochastic representation."""

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution

from frame_core import check_count, check_shapes, kl_divergence, reparametrize


def compute_bottleneck_terms(
    y: Tensor, q_z: Distribution, p_z: Distribution, predictor: nn.Module, n_samples: int
) -> tuple[Tensor, Tensor]:
    """Compute E[-log q(y | z)] and KL(q(z | x) || p(z)), in nats, as means over a batch.

    Args:
        y: Labels of shape (batch,).
        q_z: Posterior of the representation, of batch shape (batch,).
        p_z: Distribution of the same event shape, and of batch shape () or (batch,).
        predictor: Conditional q(y | z), from (batch, \\*z_shape) to a categorical distribution over labels.
        n_samples: Number of samples of z per example, over which the first term is averaged.

    Raises:
        TypeError: The posterior cannot be reparameterized.
        ValueError: The shapes of the distribution of labels do not match.
    """
    z = reparametrize(q_z, "encoder", torch.Size([n_samples]))
    q_y = predictor(z.flatten(0, 1))
    check_shapes("predictor", q_y, torch.Size([n_samples * len(y)]), torch.Size([]))
    return -q_y.log_prob(y.repeat(n_samples)).mean(), kl_divergence(q_z, p_z, z).mean()


def average_predictions(q_z: Distribution, predictor: nn.Module, n_samples: int) -> Distribution:
    """Return the mean of q(y | z) over samples of z.

    Raises:
        TypeError: ``n_samples`` is not an integer.
        ValueError: ``n_samples`` is not positive.
    """
    z = q_z.sample(torch.Size([check_count("n_samples", n_samples)]))
    logits = predictor(z.flatten(0, 1)).logits.unflatten(0, z.shape[:2])
    # The logits are log probabilities, so this is the log of their mean up to a constant.
    return Categorical(logits=logits.logsumexp(0), validate_args=False)
