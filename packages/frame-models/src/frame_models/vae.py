"""Variational autoencoder."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from frame_core import (
    GenerativeModel,
    ReconstructionModel,
    RepresentationLearningModel,
    VariationalModel,
    kl_divergence,
)


class VariationalAutoencoder(GenerativeModel, RepresentationLearningModel, ReconstructionModel, VariationalModel):
    """Latent-variable model trained on a beta-weighted evidence lower bound.

    The three parts are any modules that keep the contracts of `frame_core.ConditionalDistribution` and
    `frame_core.MarginalDistribution`, whatever their base class.

    Args:
        encoder: Posterior q(z | x), from (batch, \\*x_shape) to an event of shape (\\*z_shape,) that can
            be reparametrised.
        decoder: Likelihood p(x | z), from (batch, \\*z_shape) to an event of shape (\\*x_shape,).
        prior: Marginal p(z), an event of shape (\\*z_shape,).
        beta: Weight of the regularization term; at 1 the loss is the negative lower bound, in nats.

    Raises:
        ValueError: ``beta`` is negative.

    References:
        Auto-Encoding Variational Bayes (Kingma & Welling, 2014), https://arxiv.org/abs/1312.6114

        beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework
        (Higgins et al., 2017), https://openreview.net/forum?id=Sy2fzU9gl
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, prior: nn.Module, beta: float = 1.0) -> None:
        super().__init__()
        if not beta >= 0:  # also refuses NaN
            raise ValueError(f"`beta` must be non-negative, got {beta!r}.")
        self.encoder = encoder
        self.decoder = decoder
        self.prior = prior
        self.beta = beta

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss ``reconstruction + beta * regularization`` of a batch, and its two terms.

        Raises:
            TypeError: The encoder's distribution can't be reparametrised.
            ValueError: The distributions do not fit one another or the data.
        """
        terms = self.compute_loss_components(data)
        loss = terms["reconstruction"] + self.beta * terms["regularization"]
        return {"loss": loss, **{name: term.detach() for name, term in terms.items()}}

    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        x = data["x"]
        q_z, p_z = self.encode(x), self.prior()
        z = _reparametrize(q_z)
        _check_shapes("encoder", q_z, x.shape[:1], z.shape[1:])
        _check_shapes("prior", p_z, torch.Size([]), z.shape[1:])
        p_x = self.decoder(z)
        _check_shapes("decoder", p_x, x.shape[:1], x.shape[1:])
        return {
            "reconstruction": -p_x.log_prob(x).mean(),
            "regularization": kl_divergence(q_z, p_z, z).mean(),
        }

    def encode(self, x: Tensor) -> Distribution:
        return self.encoder(x)

    def reconstruct(self, x: Tensor, sample_latents: bool = False, sample_output: bool = False) -> Tensor:
        z = _sample_or_mean(self.encode(x), "sample_latents", sample_latents)
        return _sample_or_mean(self.decoder(z), "sample_output", sample_output)

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        z = self.prior().sample(sample_shape)
        return _sample_or_mean(self.decoder(z), "sample_output", sample_output)


def _reparametrize(q_z: Distribution) -> Tensor:
    """Sample z ~ q(z | x) so that the gradient reaches the parameters of q."""
    if not q_z.has_rsample:
        raise TypeError(f"`encoder` must give a distribution that can be reparametrised (`has_rsample`), got {q_z!r}.")
    return q_z.rsample()


def _check_shapes(part: str, distribution: Distribution, batch_shape: torch.Size, event_shape: torch.Size) -> None:
    """Refuse what would broadcast into a wrong loss, above all a forgotten `Independent`."""
    if (distribution.batch_shape, distribution.event_shape) != (batch_shape, event_shape):
        raise ValueError(
            f"`{part}` must give a distribution of batch shape {tuple(batch_shape)} and event shape "
            f"{tuple(event_shape)}, got {tuple(distribution.batch_shape)} and {tuple(distribution.event_shape)}; "
            "`torch.distributions.Independent` makes the dimensions of one datum part of the event."
        )


def _sample_or_mean(distribution: Distribution, option: str, sample: bool) -> Tensor:
    if sample:
        return distribution.sample()
    try:
        return distribution.mean
    except NotImplementedError:  # as for a normalizing flow
        raise TypeError(f"`{type(distribution).__name__}` has no mean to give: set `{option}` to True.") from None
