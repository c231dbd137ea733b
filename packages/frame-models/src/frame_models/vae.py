"""Variational autoencoder."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from frame_core import (
    GenerativeModel,
    ImportanceSamplingModel,
    LatentVariableModel,
    ReconstructionModel,
    Schedule,
    VariationalModel,
    check_non_negative,
    get_tensor,
    get_value,
    reparametrize,
    sample_or_mean,
)
from frame_models.evidence import compute_bound_terms, compute_log_weights


class VariationalAutoencoder(
    GenerativeModel, LatentVariableModel, ReconstructionModel, VariationalModel, ImportanceSamplingModel
):
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
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.prior = prior
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

    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        x = get_tensor(data, "x")
        return compute_bound_terms(x, self.encode(x), self.prior(), self.decoder)

    def encode(self, x: Tensor) -> Distribution:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Distribution:
        return self.decoder(z)

    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        x = get_tensor(data, "x")
        q_z = self.encode(x)
        z = reparametrize(q_z, "encoder", torch.Size([n_samples]))
        return compute_log_weights(x, z, q_z, self.prior(), self.decoder)

    def reconstruct(
        self, data: Mapping[str, Tensor], sample_latents: bool = False, sample_output: bool = False
    ) -> Tensor:
        z = sample_or_mean(self.encode(get_tensor(data, "x")), "sample_latents", sample_latents)
        return sample_or_mean(self.decoder(z), "sample_output", sample_output)

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        z = self.prior().sample(sample_shape)
        return sample_or_mean(self.decoder(z), "sample_output", sample_output)
