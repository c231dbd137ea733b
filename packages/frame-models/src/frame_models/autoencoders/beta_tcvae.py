"""Variational autoencoder with a weighted total correlation."""

from collections.abc import Mapping
from math import log

from torch import Tensor, nn
from torch.distributions import Distribution

from frame_core import Schedule, check_non_negative, get_elementwise, get_tensor, get_value, reparametrize
from frame_models.autoencoders.encoder_decoder import EncoderDecoderModel
from frame_models.autoencoders.evidence import compute_bound_terms


class BetaTCVAE(EncoderDecoderModel):
    """Variational autoencoder whose loss weights the total correlation of the latent dimensions with beta.

    The divergence of the posterior is a sum of three terms, with the aggregate posterior q(z) = E[q(z | x)]:

        E[KL(q(z | x) || p(z))] = I(x; z) + KL(q(z) || prod_d q(z_d)) + sum_d KL(q(z_d) || p(z_d))

    The second is the total correlation, which is zero if the dimensions are independent. The loss is the negative lower
    bound plus (beta - 1) times the total correlation. So only that term has a weight other than 1.

    Args:
        encoder: Posterior q(z | x), from (batch, \\*x_shape) to an event of shape (\\*z_shape,) whose dimensions are
            independent and that can be reparameterized.
        decoder: Likelihood p(x | z), from (batch, \\*z_shape) to an event of shape (\\*x_shape,).
        prior: Marginal p(z), an event of shape (\\*z_shape,).
        beta: Weight of the total correlation, a number or a schedule. At 1 the loss is the negative lower bound.

    Raises:
        TypeError: ``beta`` is neither a number nor a schedule.
        ValueError: ``beta`` is negative.

    References:
        Isolating Sources of Disentanglement in Variational Autoencoders (Chen et al., 2018),
        https://arxiv.org/abs/1802.04942
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, prior: nn.Module, beta: float | Schedule) -> None:
        super().__init__(encoder, decoder, prior)
        self.beta = check_non_negative("beta", beta)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss ``reconstruction + regularization + (beta - 1) * total_correlation`` and its terms.

        Raises:
            TypeError: The encoder's distribution cannot be reparameterized, or its dimensions are not independent.
            ValueError: The batch has no ``x``, or the shapes of the distributions do not match each other or the data.
        """
        x = get_tensor(data, "x")
        q_z = self.encode(x)
        z = reparametrize(q_z, "encoder")
        terms = compute_bound_terms(x, z, q_z, self.prior(), self.decoder)
        total_correlation = compute_total_correlation(q_z, z)
        loss = terms["reconstruction"] + terms["regularization"] + (get_value(self.beta) - 1) * total_correlation
        quantities = {**terms, "total_correlation": total_correlation}
        return {"loss": loss, **{name: value.detach() for name, value in quantities.items()}}


def compute_total_correlation(q_z: Distribution, z: Tensor) -> Tensor:
    """Estimate the total correlation KL(q(z) || prod_d q(z_d)) of the aggregate posterior of a batch, in nats.

    This is the estimator by minibatch-weighted sampling of Chen et al. For a data set of N examples, theirs has another
    term (z_dim - 1) log N. It is left out, because it is a constant. The value is that of the aggregate posterior of
    the batch, not of the data set: for a batch of one example, it is 0.

    Args:
        q_z: Posterior of batch shape (batch,), with independent dimensions.
        z: One sample of the posterior of each example, of shape (batch, \\*z_shape).

    Returns:
        Scalar tensor.

    Raises:
        TypeError: The dimensions of the posterior are not independent, or it has no density.
    """
    pairs = get_elementwise(q_z, "encoder").log_prob(z.unsqueeze(1)).flatten(2)  # log q(z_d of row i | x of column j)
    joint = pairs.sum(2).logsumexp(1) - log(len(z))
    marginals = pairs.logsumexp(1) - log(len(z))
    return (joint - marginals.sum(1)).mean()
