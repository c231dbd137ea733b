"""Generative adversarial network."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from frame_core import (
    AdversarialModel,
    call_frozen,
    check_scores,
    compute_adversarial_loss,
    generate_like,
    get_tensor,
    sample_or_mean,
)


class GenerativeAdversarialNetwork(AdversarialModel):
    """Generator trained against a discriminator that distinguishes generated from real data.

    With logits d of being real, the discriminator minimizes -E[log sigmoid(d(x))] - E[log(1 - sigmoid(d(G(z))))],
    which is 2 log 2 - 2 JSD for the best discriminator. The generator minimizes the non-saturating loss
    -E[log sigmoid(d(G(z)))].

    Args:
        generator: Conditional p(x | z), from (batch, \\*z_shape) to an event of shape (\\*x_shape,). Its mean is
            the generated example, so a `frame_core.Delta` and the Bernoulli distribution of a decoder both work.
        discriminator: From data (batch, \\*x_shape) to a tensor of logits of shape (batch,).
        prior: Marginal p(z), an event of shape (\\*z_shape,). It is not trained.

    References:
        Generative Adversarial Networks (Goodfellow et al., 2014), https://arxiv.org/abs/1406.2661
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, prior: nn.Module) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.prior = prior

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the sum of both losses of a batch; the name of each quantity starts with the name of its part.

        Raises:
            TypeError: The generator's distribution has no mean.
            ValueError: The batch has no ``x``, or the shape of an output does not match the data.
        """
        return compute_adversarial_loss(self, data, data_idx)

    def compute_generator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of the generator on as many generated examples as the batch has."""
        fake = generate_like(get_tensor(data, "x"), self.generator, self.prior)
        logits = check_scores("discriminator", call_frozen(self.discriminator, fake), fake)
        return {"loss": softplus(-logits).mean()}

    def compute_discriminator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of the discriminator, and its mean predicted probabilities of being real.

        Returns:
            ``loss``, ``real_probability`` of the batch, and ``fake_probability`` of as many generated examples.
        """
        x = get_tensor(data, "x")
        with torch.no_grad():
            fake = generate_like(x, self.generator, self.prior)
        logits = check_scores("discriminator", self.discriminator(x), x)
        fake_logits = check_scores("discriminator", self.discriminator(fake), x)
        return {
            "loss": softplus(-logits).mean() + softplus(fake_logits).mean(),
            "real_probability": logits.detach().sigmoid().mean(),
            "fake_probability": fake_logits.detach().sigmoid().mean(),
        }

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        p_x = self.generator(self.prior().sample(sample_shape))
        return sample_or_mean(p_x, "sample_output", sample_output)
