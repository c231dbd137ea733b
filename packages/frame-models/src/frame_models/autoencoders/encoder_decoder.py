"""Latent-variable models of an encoder, a decoder and a prior."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from frame_core import (
    GenerativeModel,
    ImportanceSamplingModel,
    LatentVariableModel,
    ReconstructionModel,
    VariationalModel,
    get_tensor,
    reparametrize,
    sample_or_mean,
)
from frame_models.autoencoders.evidence import compute_bound_terms, compute_log_weights


class EncoderDecoderModel(
    GenerativeModel, LatentVariableModel, ReconstructionModel, VariationalModel, ImportanceSamplingModel
):
    """Base class of models with a posterior q(z | x), a likelihood p(x | z) and a prior p(z). It has no loss.

    Args:
        encoder: Posterior q(z | x), from (batch, \\*x_shape) to an event of shape (\\*z_shape,) that can
            be reparameterized.
        decoder: Likelihood p(x | z), from (batch, \\*z_shape) to an event of shape (\\*x_shape,).
        prior: Marginal p(z), an event of shape (\\*z_shape,).
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, prior: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.prior = prior

    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        x = get_tensor(data, "x")
        q_z = self.encode(x)
        return compute_bound_terms(x, reparametrize(q_z, "encoder"), q_z, self.prior(), self.decoder)

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
