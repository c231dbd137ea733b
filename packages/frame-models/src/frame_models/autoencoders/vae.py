"""Variational autoencoder."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from frame_core import (
    Schedule,
    check_non_negative,
    get_elementwise,
    get_tensor,
    get_value,
    kl_divergence,
    reparametrize,
)
from frame_models.autoencoders.encoder_decoder import EncoderDecoderModel
from frame_models.autoencoders.evidence import compute_bound_terms


class VariationalAutoencoder(EncoderDecoderModel):
    """Latent-variable model trained on a beta-weighted evidence lower bound.

    The three parts may be any modules that satisfy the contracts of `frame_core.ConditionalDistribution` and
    `frame_core.MarginalDistribution`, with any base class.

    With free bits, or with a weight for each latent dimension, the regularization term of the loss is
    sum_d beta_d max(free_bits, E[KL(q(z_d | x) || p(z_d))]), where E averages over the batch. The dimensions of the
    posterior and of the prior must then be independent.

    Args:
        encoder: Posterior q(z | x), from (batch, \\*x_shape) to an event of shape (\\*z_shape,) that can
            be reparameterized.
        decoder: Likelihood p(x | z), from (batch, \\*z_shape) to an event of shape (\\*x_shape,).
        prior: Marginal p(z), an event of shape (\\*z_shape,).
        beta: Weight of the regularization term, a number or a schedule; or a list of them, one for each latent
            dimension. At 1 the loss is the negative lower bound, in nats.
        free_bits: Divergence of each latent dimension, in nats, below which it is not reduced further: a number or a
            schedule. At 0 the loss is unchanged.
        closed_form: Whether the divergence in the loss is computed in closed form, if torch has one. If False, it is
            log q(z | x) - log p(z) at the sample.

    Raises:
        TypeError: A weight or ``free_bits`` is neither a number nor a schedule.
        ValueError: ``beta`` or ``free_bits`` is negative.

    References:
        Auto-Encoding Variational Bayes (Kingma & Welling, 2014), https://arxiv.org/abs/1312.6114

        beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework
        (Higgins et al., 2017), https://openreview.net/forum?id=Sy2fzU9gl

        Free bits: Improving Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016),
        https://arxiv.org/abs/1606.04934
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: nn.Module,
        beta: float | Schedule | Sequence[float | Schedule] = 1.0,
        free_bits: float | Schedule = 0.0,
        closed_form: bool = True,
    ) -> None:
        super().__init__(encoder, decoder, prior)
        if isinstance(beta, Sequence):
            self.beta = [check_non_negative(f"beta[{index}]", number) for index, number in enumerate(beta)]
            self.beta_schedules = nn.ModuleList(number for number in self.beta if isinstance(number, Schedule))
        else:
            self.beta = check_non_negative("beta", beta)
        self.free_bits = check_non_negative("free_bits", free_bits)
        self.closed_form = closed_form

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss ``reconstruction + beta * regularization`` of a batch and its two terms.

        Raises:
            TypeError: The encoder's distribution cannot be reparameterized, or free bits or a weight for each dimension
                need independent dimensions.
            ValueError: The batch has no ``x``, the shapes of the distributions do not match each other or the data, or
                the number of weights is not that of the dimensions.
        """
        x = get_tensor(data, "x")
        q_z, p_z = self.encode(x), self.prior()
        z = reparametrize(q_z, "encoder")
        terms = compute_bound_terms(x, z, q_z, p_z, self.decoder, closed_form=self.closed_form)
        if isinstance(self.beta, list) or self.free_bits:
            penalty = self._weigh_dimensions(z, q_z, p_z)
        else:
            penalty = get_value(self.beta) * terms["regularization"]
        return {"loss": terms["reconstruction"] + penalty, **{name: term.detach() for name, term in terms.items()}}

    def _weigh_dimensions(self, z: Tensor, q_z: Distribution, p_z: Distribution) -> Tensor:
        """Compute the regularization term of the loss from the divergence of each dimension."""
        q, p = get_elementwise(q_z, "encoder"), get_elementwise(p_z, "prior")
        divergences = kl_divergence(q, p, z, self.closed_form).mean(0).flatten()
        divergences = divergences.clamp(min=get_value(self.free_bits))
        if not isinstance(self.beta, list):
            return get_value(self.beta) * divergences.sum()
        if len(self.beta) != len(divergences):
            n_dims = len(divergences)
            raise ValueError(
                f"`beta` must have one number for each of the {n_dims} latent dimensions, got {len(self.beta)}."
            )
        return torch.stack([get_value(beta) * divergence for beta, divergence in zip(self.beta, divergences)]).sum()
