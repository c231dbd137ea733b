"""Variational autoencoder."""

from collections.abc import Mapping

from torch import Tensor, nn

from frame_core import Schedule, check_non_negative, get_value
from frame_models.encoder_decoder import EncoderDecoderModel


class VariationalAutoencoder(EncoderDecoderModel):
    """Latent-variable model trained on a beta-weighted evidence lower bound.

    The three parts may be any modules that satisfy the contracts of `frame_core.ConditionalDistribution` and
    `frame_core.MarginalDistribution`, with any base class.

    Args:
        encoder: Posterior q(z | x), from (batch, \\*x_shape) to an event of shape (\\*z_shape,) that can
            be reparameterized.
        decoder: Likelihood p(x | z), from (batch, \\*z_shape) to an event of shape (\\*x_shape,).
        prior: Marginal p(z), an event of shape (\\*z_shape,).
        beta: Weight of the regularization term, a number or a schedule. At 1 the loss is the negative
            lower bound, in nats.

    Raises:
        TypeError: ``beta`` is neither a number nor a schedule.
        ValueError: ``beta`` is negative.

    References:
        Auto-Encoding Variational Bayes (Kingma & Welling, 2014), https://arxiv.org/abs/1312.6114

        beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework
        (Higgins et al., 2017), https://openreview.net/forum?id=Sy2fzU9gl
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, prior: nn.Module, beta: float | Schedule = 1.0) -> None:
        super().__init__(encoder, decoder, prior)
        self.beta = check_non_negative("beta", beta)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss ``reconstruction + beta * regularization`` of a batch and its two terms.

        Raises:
            TypeError: The encoder's distribution cannot be reparameterized.
            ValueError: The batch has no ``x``, or the shapes of the distributions do not match each other or the data.
        """
        terms = self.compute_loss_components(data)
        loss = terms["reconstruction"] + get_value(self.beta) * terms["regularization"]
        return {"loss": loss, **{name: term.detach() for name, term in terms.items()}}
