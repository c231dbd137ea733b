"""Multi-view information bottleneck."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.distributions import Distribution

from frame_core import (
    RepresentationLearningModel,
    Schedule,
    check_non_negative,
    check_scores,
    check_shapes,
    get_value,
    kl_divergence,
    reparametrize,
)
from frame_models.two_views.base import get_views
from frame_models.two_views.mutual_information import compute_clipped_estimate, compute_jensen_shannon_bound

CLIP = 5.0
"""Largest log density ratio of a pair of two examples in the estimate of mutual information."""


class MultiViewInformationBottleneck(RepresentationLearningModel):
    """Representation that keeps the information shared by two views of an example, and little else.

    The loss is -I_JS(z1; z2) + beta * D_SKL. I_JS is the Jensen-Shannon bound on the mutual information of the
    representations of the two views. D_SKL is the symmetrized divergence of the two posteriors,
    (KL(q(z | v1) || q(z | v2)) + KL(q(z | v2) || q(z | v1))) / 2.

    Args:
        encoder_v1: Posterior q(z | v1), from (batch, \\*v1_shape) to an event of shape (\\*z_shape,) that can
            be reparameterized. `encode` uses it.
        encoder_v2: Posterior q(z | v2), from (batch, \\*v2_shape). Pass the same object as ``encoder_v1`` if
            both views have the same form.
        critic: From z1 and z2, each (batch, \\*z_shape), to a tensor of scores of shape (batch,). The
            best critic is log p(z1, z2) - log p(z1) p(z2).
        beta: Weight of the regularization term, a number or a schedule.

    Raises:
        TypeError: ``beta`` is neither a number nor a schedule.
        ValueError: ``beta`` is negative.

    References:
        Learning Robust Representations via Multi-View Information Bottleneck (Federici et al., 2020),
        https://arxiv.org/abs/2002.07017

        Learning deep representations by mutual information estimation and maximization (Hjelm et al., 2019),
        https://arxiv.org/abs/1808.06670, the source of I_JS

        Understanding the Limitations of Variational Mutual Information Estimators (Song & Ermon, 2020),
        https://arxiv.org/abs/1910.06222, the source of ``mutual_information``
    """

    def __init__(self, encoder_v1: nn.Module, encoder_v2: nn.Module, critic: nn.Module, beta: float | Schedule) -> None:
        super().__init__()
        self.encoder_v1 = encoder_v1
        self.encoder_v2 = encoder_v2
        self.critic = critic
        self.beta = check_non_negative("beta", beta)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of a batch with two views, ``data["v1"]`` and ``data["v2"]``.

        Returns:
            ``loss``, ``jensen_shannon`` (I_JS, at least -2 log 2 for the best critic), ``regularization``
            (D_SKL) and ``mutual_information``, the estimate of I(z1; z2) of SMILE from the same critic.

        Raises:
            TypeError: An encoder's distribution cannot be reparameterized.
            ValueError: The batch lacks a view or has fewer than two examples, or the shapes of the distributions
                do not match each other or the data.
        """
        v_1, v_2 = get_views(data)
        q_1, q_2 = self.encoder_v1(v_1), self.encoder_v2(v_2)
        z_1, z_2 = reparametrize(q_1, "encoder_v1"), reparametrize(q_2, "encoder_v2")
        check_shapes("encoder_v1", q_1, v_1.shape[:1], z_1.shape[1:])
        check_shapes("encoder_v2", q_2, v_1.shape[:1], z_1.shape[1:])
        scores = check_scores("critic", self.critic(z_1, z_2), z_1)
        # Pairing each z1 with the z2 of the next example makes independent pairs, if the batch has at least two.
        scores_of_others = self.critic(z_1, z_2.roll(-1, 0))
        jensen_shannon = compute_jensen_shannon_bound(scores, scores_of_others)
        regularization = compute_symmetrised_divergence(q_1, q_2, z_1, z_2)
        return {
            "loss": -jensen_shannon + get_value(self.beta) * regularization,
            "jensen_shannon": jensen_shannon.detach(),
            "mutual_information": compute_clipped_estimate(scores.detach(), scores_of_others.detach(), CLIP),
            "regularization": regularization.detach(),
        }

    def encode(self, x: Tensor) -> Distribution:
        """Return the distribution q(z | v1) of the representation, treating ``x`` as the first view."""
        return self.encoder_v1(x)


def compute_symmetrised_divergence(q_1: Distribution, q_2: Distribution, z_1: Tensor, z_2: Tensor) -> Tensor:
    """Compute D_SKL = (KL(q1 || q2) + KL(q2 || q1)) / 2, in nats; estimate it if there is no closed form.

    Args:
        q_1: Distribution of batch shape (batch,).
        q_2: Distribution of the same shapes as ``q_1``.
        z_1: Samples of ``q_1``, of shape (batch, \\*z_shape).
        z_2: Samples of ``q_2``, of the same shape.

    Returns:
        Scalar tensor, the mean over the batch.
    """
    return (kl_divergence(q_1, q_2, z_1) + kl_divergence(q_2, q_1, z_2)).mean() / 2
