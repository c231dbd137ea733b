"""Variational autoencoder with categorical latents."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, OneHotCategorical
from torch.nn.functional import gumbel_softmax

from frame_core import Schedule, check_above_zero, check_non_negative, get_tensor, get_value
from frame_models.autoencoders.encoder_decoder import EncoderDecoderModel
from frame_models.autoencoders.evidence import compute_bound_terms, compute_log_weights


class CategoricalVariationalAutoencoder(EncoderDecoderModel):
    """Latent-variable model whose latents are categorical variables, trained by the Gumbel-softmax relaxation.

    In the loss, the decoder is given softmax((log q + g) / temperature) in place of a sample of each variable, with
    standard Gumbel noise g. Its gradient reaches the encoder. The divergence is that of the categorical distributions.

    Everything else is about the discrete model: the evidence lower bound, the log-likelihood and the samples have
    one-hot vectors. As the temperature falls, the loss approaches the negative lower bound, and the variance of its
    gradient rises.

    Args:
        encoder: Posterior q(z | x), from (batch, \\*x_shape) to independent one-hot vectors: a
            `torch.distributions.OneHotCategorical` in `Independent`, of event shape (n_latents, n_categories).
        decoder: Likelihood p(x | z), from (batch, n_latents, n_categories) to an event of shape (\\*x_shape,).
        prior: Marginal p(z), of the same kind as the posterior.
        temperature: Temperature of the relaxation, a number or a schedule.
        beta: Weight of the regularization term, a number or a schedule.

    Raises:
        TypeError: ``temperature`` or ``beta`` is neither a number nor a schedule.
        ValueError: ``temperature`` is not positive, or ``beta`` is negative.

    References:
        Categorical Reparameterization with Gumbel-Softmax (Jang et al., 2017), https://arxiv.org/abs/1611.01144

        The Concrete Distribution: A Continuous Relaxation of Discrete Random Variables (Maddison et al., 2017),
        https://arxiv.org/abs/1611.00712
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: nn.Module,
        temperature: float | Schedule,
        beta: float | Schedule = 1.0,
    ) -> None:
        super().__init__(encoder, decoder, prior)
        self.temperature = check_above_zero("temperature", temperature)
        self.beta = check_non_negative("beta", beta)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss ``reconstruction + beta * regularization`` of a batch and its two terms.

        Raises:
            TypeError: The encoder or the prior does not return one-hot vectors.
            ValueError: The batch has no ``x``, or the shapes of the distributions do not match each other or the data.
        """
        x = get_tensor(data, "x")
        q_z = self.encode(x)
        z = gumbel_softmax(_get_logits(q_z, "encoder"), get_value(self.temperature))  # pyright: ignore[reportArgumentType]
        terms = compute_bound_terms(x, z, q_z, self._get_prior(), self.decoder)
        loss = terms["reconstruction"] + get_value(self.beta) * terms["regularization"]
        return {"loss": loss, **{name: term.detach() for name, term in terms.items()}}

    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compute the two terms of the negative evidence lower bound of the discrete model, in nats.

        The gradient of ``reconstruction`` reaches the decoder only.
        """
        x = get_tensor(data, "x")
        q_z = self.encode(x)
        return compute_bound_terms(x, q_z.sample(), q_z, self._get_prior(), self.decoder)

    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        x = get_tensor(data, "x")
        q_z = self.encode(x)
        return compute_log_weights(x, q_z.sample(torch.Size([n_samples])), q_z, self._get_prior(), self.decoder)

    def _get_prior(self) -> Distribution:
        p_z = self.prior()
        _get_logits(p_z, "prior")
        return p_z


def _get_logits(distribution: Distribution, part: str) -> Tensor:
    """Return the logits of one-hot vectors, of shape (\\*batch, n_latents, n_categories).

    Raises:
        TypeError: The distribution is of another kind.
    """
    if isinstance(distribution, Independent) and isinstance(distribution.base_dist, OneHotCategorical):
        return distribution.base_dist.logits
    raise TypeError(
        f"`{part}` must return one-hot vectors, a `torch.distributions.OneHotCategorical` in `Independent`, got "
        f"{distribution!r}."
    )
