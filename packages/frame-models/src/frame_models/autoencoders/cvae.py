"""Conditional variational autoencoder."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from frame_core import (
    GenerativeModel,
    ImportanceSamplingModel,
    ReconstructionModel,
    Schedule,
    VariationalModel,
    check_non_negative,
    get_tensor,
    get_value,
    reparametrize,
    sample_or_mean,
)
from frame_models.autoencoders.evidence import compute_bound_terms, compute_log_weights


class ConditionalVariationalAutoencoder(
    GenerativeModel, ReconstructionModel, VariationalModel, ImportanceSamplingModel
):
    """Latent-variable model of data given a condition y, such as a label: p(x | y) = E[p(x | z, y)] over p(z).

    The loss is a beta-weighted lower bound on log p(x | y). The prior does not depend on y, so z represents what
    y leaves open, such as the style of a digit.

    Args:
        encoder: Posterior q(z | x, y), from (batch, \\*x_shape) and (batch, \\*y_shape) to an event of shape
            (\\*z_shape,) that can be reparameterized.
        decoder: Likelihood p(x | z, y), from (batch, \\*z_shape) and (batch, \\*y_shape) to an event of shape
            (\\*x_shape,).
        prior: Marginal p(z), an event of shape (\\*z_shape,).
        beta: Weight of the regularization term, a number or a schedule. At 1 the loss is the negative
            lower bound, in nats.

    Raises:
        TypeError: ``beta`` is neither a number nor a schedule.
        ValueError: ``beta`` is negative.

    References:
        Learning Structured Output Representation using Deep Conditional Generative Models (Sohn et al., 2015),
        https://papers.nips.cc/paper/5775, with a prior that is independent of the condition, as in

        Semi-Supervised Learning with Deep Generative Models (Kingma et al., 2014), https://arxiv.org/abs/1406.5298
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, prior: nn.Module, beta: float | Schedule = 1.0) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.prior = prior
        self.beta = check_non_negative("beta", beta)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss ``reconstruction + beta * regularization`` of a batch with ``x`` and ``y``.

        Returns:
            ``loss``, ``reconstruction`` and ``regularization``.

        Raises:
            TypeError: The encoder's distribution cannot be reparameterized.
            ValueError: The batch has no ``x`` or ``y``, or the shapes of the distributions do not match each other or
                the data.
        """
        terms = self.compute_loss_components(data)
        loss = terms["reconstruction"] + get_value(self.beta) * terms["regularization"]
        return {"loss": loss, **{name: term.detach() for name, term in terms.items()}}

    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        x, y = get_tensor(data, "x"), get_tensor(data, "y")
        q_z = self.encoder(x, y)
        return compute_bound_terms(x, reparametrize(q_z, "encoder"), q_z, self.prior(), self.decoder, y)

    def encode_batch(self, data: Mapping[str, Tensor]) -> Distribution:
        """Return the distribution q(z | x, y) of a batch with ``x`` and ``y``."""
        return self.encoder(get_tensor(data, "x"), get_tensor(data, "y"))

    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        x, y = get_tensor(data, "x"), get_tensor(data, "y")
        q_z = self.encoder(x, y)
        z = reparametrize(q_z, "encoder", torch.Size([n_samples]))
        return compute_log_weights(x, z, q_z, self.prior(), self.decoder, y)

    def reconstruct(
        self, data: Mapping[str, Tensor], sample_latents: bool = False, sample_output: bool = False
    ) -> Tensor:
        z = sample_or_mean(self.encode_batch(data), "sample_latents", sample_latents)
        return sample_or_mean(self.decoder(z, data["y"]), "sample_output", sample_output)

    def sample(  # pyright: ignore[reportIncompatibleMethodOverride]  # it needs a condition
        self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False, *, y: Tensor
    ) -> Tensor:
        """Generate data given conditions ``y`` of shape (batch, \\*y_shape), ``sample_shape`` for each."""
        z = self.prior().sample(torch.Size([*sample_shape, len(y)]))
        p_x = self.decoder(z, y.expand(*sample_shape, *y.shape))
        return sample_or_mean(p_x, "sample_output", sample_output)
