"""Generative adversarial network."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from frame_core import (
    AdversarialModel,
    add_losses,
    call_frozen,
    check_scores,
    generate_like,
    get_tensor,
    sample_or_mean,
)


class GenerativeAdversarialNetwork(AdversarialModel):
    """Generator that learns to pass its data off as real, against a discriminator that learns to tell them.

    With logits d of being real, the discriminator minimizes -E[log sigmoid(d(x))] - E[log(1 - sigmoid(d(G(z))))],
    which is 2 log 2 - 2 JSD at best, and the generator the non-saturating loss -E[log sigmoid(d(G(z)))].

    Args:
        generator: Conditional p(x | z), from (batch, \\*z_shape) to an event of shape (\\*x_shape,). Its mean is
            the generated datum: a `frame_core.Delta` of it and a decoder's Bernoulli distribution serve alike.
        discriminator: From data (batch, \\*x_shape) to logits of shape (batch,), a tensor.
        prior: Marginal p(z), an event of shape (\\*z_shape,) that is not trained.

    References:
        Generative Adversarial Networks (Goodfellow et al., 2014), https://arxiv.org/abs/1406.2661
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, prior: nn.Module) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.prior = prior

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the sum of both losses of a batch, and the quantities of each under the name of its part.

        Raises:
            TypeError: The generator's distribution has no mean.
            ValueError: A part does not fit the data.
        """
        return add_losses(
            {
                "generator": self.compute_generator_loss(data, data_idx),
                "discriminator": self.compute_discriminator_loss(data, data_idx),
            }
        )

    def compute_generator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of the generator on as many draws as the batch has data."""
        fake = generate_like(get_tensor(data, "x"), self.generator, self.prior)
        logits = check_scores("discriminator", call_frozen(self.discriminator, fake), fake)
        return {"loss": softplus(-logits).mean()}

    def compute_discriminator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of the discriminator, and the mean probability of being real that it gives.

        Returns:
            ``loss``, ``real_probability`` of the batch and ``fake_probability`` of as many generated data.
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
