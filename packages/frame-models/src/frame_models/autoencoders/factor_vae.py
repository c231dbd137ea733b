"""Variational autoencoder with a total correlation that a discriminator estimates."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from frame_core import (
    AdversarialModel,
    Schedule,
    call_frozen,
    check_non_negative,
    check_scores,
    compute_adversarial_loss,
    get_tensor,
    get_value,
    reparametrize,
)
from frame_models.autoencoders.encoder_decoder import EncoderDecoderModel
from frame_models.autoencoders.evidence import compute_bound_terms


class FactorVAE(EncoderDecoderModel, AdversarialModel):
    """Variational autoencoder that is penalized for the total correlation of the latent dimensions.

    The total correlation is KL(q(z) || prod_d q(z_d)), with the aggregate posterior q(z) = E[q(z | x)]. A
    discriminator distinguishes samples of q(z) from samples whose dimensions are permuted over the batch, each
    separately. The best one has the logits d(z) = log q(z) - log prod_d q(z_d), so that E[d(z)] is the total
    correlation. The autoencoder minimizes its negative lower bound plus gamma E[d(z)].

    It is trained as other adversarial models are. Its generator is the decoder; the encoder and a trainable prior are
    trained with it.

    Args:
        encoder: Posterior q(z | x), from (batch, \\*x_shape) to an event of shape (\\*z_shape,) that can
            be reparameterized.
        decoder: Likelihood p(x | z), from (batch, \\*z_shape) to an event of shape (\\*x_shape,).
        prior: Marginal p(z), an event of shape (\\*z_shape,).
        discriminator: From z (batch, \\*z_shape) to a tensor of logits of shape (batch,).
        gamma: Weight of the total correlation, a number or a schedule. At 0 the loss is the negative lower bound.

    Raises:
        TypeError: ``gamma`` is neither a number nor a schedule.
        ValueError: ``gamma`` is negative.

    References:
        Disentangling by Factorising (Kim & Mnih, 2018), https://arxiv.org/abs/1802.05983
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: nn.Module,
        discriminator: nn.Module,
        gamma: float | Schedule,
    ) -> None:
        super().__init__(encoder, decoder, prior)
        self.discriminator = discriminator
        self.gamma = check_non_negative("gamma", gamma)

    @property
    def generator(self) -> nn.Module:  # pyright: ignore[reportIncompatibleVariableOverride]  # the same, read-only
        """The decoder."""
        return self.decoder

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the sum of both losses of a batch; the name of each quantity starts with the name of its part.

        Raises:
            TypeError: The encoder's distribution cannot be reparameterized.
            ValueError: The batch has no ``x``, or the shape of an output does not match the data.
        """
        return compute_adversarial_loss(self, data, data_idx)

    def compute_generator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of the autoencoder, ``reconstruction + regularization + gamma * total_correlation``."""
        x = get_tensor(data, "x")
        q_z = self.encode(x)
        z = reparametrize(q_z, "encoder")
        terms = compute_bound_terms(x, z, q_z, self.prior(), self.decoder)
        total_correlation = check_scores("discriminator", call_frozen(self.discriminator, z), z).mean()
        loss = terms["reconstruction"] + terms["regularization"] + get_value(self.gamma) * total_correlation
        quantities = {**terms, "total_correlation": total_correlation}
        return {"loss": loss, **{name: value.detach() for name, value in quantities.items()}}

    def compute_discriminator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of the discriminator, and the fraction of samples that it classifies correctly."""
        with torch.no_grad():
            q_z = self.encode(get_tensor(data, "x"))
            z, permuted = q_z.sample(), permute_dimensions(q_z.sample())
        logits = check_scores("discriminator", self.discriminator(z), z)
        permuted_logits = check_scores("discriminator", self.discriminator(permuted), z)
        is_correct = torch.cat([logits > 0, permuted_logits < 0])
        return {
            "loss": softplus(-logits).mean() + softplus(permuted_logits).mean(),
            "accuracy": is_correct.float().mean(),
        }


def permute_dimensions(z: Tensor) -> Tensor:
    """Permute each dimension of z, of shape (batch, \\*z_shape), over the batch, independently of the others.

    The result has the same marginal distributions, and dimensions that are independent up to the size of the batch.
    """
    order = torch.rand_like(z, dtype=torch.float32).argsort(0)  # in half precision, there are ties
    return z.gather(0, order)
