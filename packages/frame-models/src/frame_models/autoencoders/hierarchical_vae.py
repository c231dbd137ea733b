"""Variational autoencoder with two levels of latents."""

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
    check_density,
    check_non_negative,
    check_shapes,
    get_tensor,
    get_value,
    reparametrize,
    sample_or_mean,
)


class HierarchicalVariationalAutoencoder(
    GenerativeModel, LatentVariableModel, ReconstructionModel, VariationalModel, ImportanceSamplingModel
):
    """Latent-variable model p(x | z) p(z | u) p(u) with the posterior q(z | x) q(u | z).

    The upper level u is a latent-variable model of the lower level z: the prior of z is p(z) = E[p(z | u)] over p(u).
    The loss is a beta-weighted lower bound, whose regularization term is the mean of
    log q(z | x) q(u | z) - log p(z | u) p(u) at samples of the posterior.

    Args:
        encoder: Posterior q(z | x), from (batch, \\*x_shape) to an event of shape (\\*z_shape,) that can
            be reparameterized.
        decoder: Likelihood p(x | z), from (batch, \\*z_shape) to an event of shape (\\*x_shape,).
        upper_encoder: Posterior q(u | z), from (batch, \\*z_shape) to an event of shape (\\*u_shape,) that can be
            reparameterized.
        upper_decoder: Likelihood p(z | u), from (batch, \\*u_shape) to an event of shape (\\*z_shape,).
        prior: Marginal p(u), an event of shape (\\*u_shape,).
        beta: Weight of the regularization term, a number or a schedule. At 1 the loss is the negative
            lower bound, in nats.

    Raises:
        TypeError: ``beta`` is neither a number nor a schedule.
        ValueError: ``beta`` is negative.

    References:
        Stochastic Backpropagation and Approximate Inference in Deep Generative Models (Rezende et al., 2014),
        https://arxiv.org/abs/1401.4082, with the posterior of the two-layer models of

        Importance Weighted Autoencoders (Burda et al., 2016), https://arxiv.org/abs/1509.00519
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        upper_encoder: nn.Module,
        upper_decoder: nn.Module,
        prior: nn.Module,
        beta: float | Schedule = 1.0,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.upper_encoder = upper_encoder
        self.upper_decoder = upper_decoder
        self.prior = prior
        self.beta = check_non_negative("beta", beta)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss ``reconstruction + beta * regularization`` of a batch and its two terms.

        Raises:
            TypeError: The distribution of an encoder cannot be reparameterized, or has no density.
            ValueError: The batch has no ``x``, or the shapes of the distributions do not match each other or the data.
        """
        terms = self.compute_loss_components(data)
        loss = terms["reconstruction"] + get_value(self.beta) * terms["regularization"]
        return {"loss": loss, **{name: term.detach() for name, term in terms.items()}}

    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        log_likelihood, log_ratio = self._sample_terms(get_tensor(data, "x"), n_samples=1)
        return {"reconstruction": -log_likelihood.mean(), "regularization": log_ratio.mean()}

    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        log_likelihood, log_ratio = self._sample_terms(get_tensor(data, "x"), n_samples)
        return log_likelihood - log_ratio

    def encode(self, x: Tensor) -> Distribution:
        """Return the distribution q(z | x) of the lower level."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Distribution:
        return self.decoder(z)

    def reconstruct(
        self, data: Mapping[str, Tensor], sample_latents: bool = False, sample_output: bool = False
    ) -> Tensor:
        z = sample_or_mean(self.encode(get_tensor(data, "x")), "sample_latents", sample_latents)
        return sample_or_mean(self.decoder(z), "sample_output", sample_output)

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        z = self.upper_decoder(self.prior().sample(sample_shape)).sample()
        return sample_or_mean(self.decoder(z), "sample_output", sample_output)

    def _sample_terms(self, x: Tensor, n_samples: int) -> tuple[Tensor, Tensor]:
        """Compute log p(x | z) and log q(z, u | x) - log p(z, u) at samples of the posterior.

        Returns:
            Two tensors of shape (n_samples, batch).
        """
        shape = torch.Size([n_samples, len(x)])
        q_z = self.encode(x)
        check_density("The lower bound", q_z)
        z = reparametrize(q_z, "encoder", shape[:1])
        check_shapes("encoder", q_z, x.shape[:1], z.shape[2:])
        flat_z = z.flatten(0, 1)
        q_u, p_u = self.upper_encoder(flat_z), self.prior()
        check_density("The lower bound", q_u)
        u = reparametrize(q_u, "upper_encoder")
        check_shapes("upper_encoder", q_u, flat_z.shape[:1], u.shape[1:])
        check_shapes("prior", p_u, torch.Size([]), u.shape[1:])
        p_z, p_x = self.upper_decoder(u), self.decoder(flat_z)
        check_shapes("upper_decoder", p_z, flat_z.shape[:1], z.shape[2:])
        check_shapes("decoder", p_x, flat_z.shape[:1], x.shape[1:])
        log_upper = q_u.log_prob(u) - p_u.log_prob(u) - p_z.log_prob(flat_z)
        log_likelihood = p_x.log_prob(x.expand(n_samples, *x.shape).flatten(0, 1))
        return log_likelihood.view(shape), q_z.log_prob(z) + log_upper.view(shape)
