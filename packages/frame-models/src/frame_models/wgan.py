"""Wasserstein generative adversarial network with gradient penalty."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from frame_core import (
    AdversarialModel,
    Schedule,
    add_losses,
    call_frozen,
    check_non_negative,
    check_scores,
    generate_like,
    get_tensor,
    get_value,
    sample_or_mean,
)


class WassersteinGAN(AdversarialModel):
    """Generator that minimizes the Wasserstein distance to the data, as a critic of slope one estimates it.

    The critic c minimizes E[c(G(z))] - E[c(x)] + penalty_weight * E[(|grad c(x')| - 1)^2], with x' uniform on the
    lines between real and generated data, and the generator -E[c(G(z))].

    Args:
        generator: Conditional p(x | z), from (batch, \\*z_shape) to an event of shape (\\*x_shape,). Its mean is
            the generated datum: a `frame_core.Delta` of it and a decoder's Bernoulli distribution serve alike.
        critic: From data (batch, \\*x_shape) to scores of shape (batch,), a tensor. A score must depend on no
            other datum of the batch, as it does after batch normalization.
        prior: Marginal p(z), an event of shape (\\*z_shape,) that is not trained.
        penalty_weight: Weight of the gradient penalty, a number or a schedule.

    Raises:
        TypeError: ``penalty_weight`` is neither a number nor a schedule.
        ValueError: ``penalty_weight`` is negative.

    References:
        Wasserstein GAN (Arjovsky et al., 2017), https://arxiv.org/abs/1701.07875

        Improved Training of Wasserstein GANs (Gulrajani et al., 2017), https://arxiv.org/abs/1704.00028
    """

    def __init__(
        self, generator: nn.Module, critic: nn.Module, prior: nn.Module, penalty_weight: float | Schedule = 10.0
    ) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = critic
        self.prior = prior
        self.penalty_weight = check_non_negative("penalty_weight", penalty_weight)

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
        return {"loss": -check_scores("critic", call_frozen(self.discriminator, fake), fake).mean()}

    def compute_discriminator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of the critic, and its two terms.

        Returns:
            ``loss``, the ``distance`` E[c(x)] - E[c(G(z))] and the ``penalty`` before it is weighted.
        """
        x = get_tensor(data, "x")
        with torch.no_grad():
            fake = generate_like(x, self.generator, self.prior)
        scores = check_scores("critic", self.discriminator(x), x)
        distance = scores.mean() - check_scores("critic", self.discriminator(fake), x).mean()
        penalty = compute_gradient_penalty(self.discriminator, x, fake)
        loss = -distance + get_value(self.penalty_weight) * penalty
        return {"loss": loss, "distance": distance.detach(), "penalty": penalty.detach()}

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        p_x = self.generator(self.prior().sample(sample_shape))
        return sample_or_mean(p_x, "sample_output", sample_output)


def compute_gradient_penalty(critic: nn.Module, x: Tensor, fake: Tensor) -> Tensor:
    """Compute the mean of (|grad c(x')| - 1)^2, at a point x' drawn on the line between each two data.

    Args:
        critic: From data (batch, \\*x_shape) to scores of shape (batch,).
        x: Real data, of shape (batch, \\*x_shape).
        fake: Generated data of the same shape.

    Returns:
        Scalar tensor, with a gradient for the parameters of the critic where gradients are recorded.
    """
    position = torch.rand(len(x), *[1] * (x.ndim - 1), dtype=x.dtype, device=x.device)
    points = torch.lerp(fake.to(x.dtype), x, position).requires_grad_()  # mixed precision may generate in another
    is_training = torch.is_grad_enabled()
    with torch.enable_grad():  # the slope is asked for where a loss is evaluated, too
        scores = critic(points).sum()
    (slopes,) = torch.autograd.grad(scores, [points], create_graph=is_training)
    return (slopes.flatten(1).norm(dim=1) - 1).square().mean()
