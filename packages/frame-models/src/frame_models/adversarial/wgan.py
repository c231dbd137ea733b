"""Wasserstein generative adversarial network with gradient penalty."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from frame_core import (
    AdversarialModel,
    Schedule,
    call_frozen,
    check_non_negative,
    check_scores,
    compute_adversarial_loss,
    generate_like,
    get_tensor,
    get_value,
    sample_or_mean,
)


class WassersteinGAN(AdversarialModel):
    """Generator that minimizes the Wasserstein distance to the data, estimated by a critic of slope one.

    The critic c minimizes E[c(G(z))] - E[c(x)] + penalty_weight * E[(|grad c(x')| - 1)^2], with x' uniform on the
    lines between real and generated examples. The generator minimizes -E[c(G(z))].

    Args:
        generator: Conditional p(x | z), from (batch, \\*z_shape) to an event of shape (\\*x_shape,). Its mean is
            the generated example, so a `frame_core.Delta` and the Bernoulli distribution of a decoder both work.
        critic: From data (batch, \\*x_shape) to a tensor of scores of shape (batch,). A score must not depend on
            the other examples of the batch, so the critic must not use batch normalization.
        prior: Marginal p(z), an event of shape (\\*z_shape,). It is not trained.
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
        """Compute the sum of both losses of a batch; the name of each quantity starts with the name of its part.

        Raises:
            TypeError: The generator's distribution has no mean.
            ValueError: The batch has no ``x``, or the shape of an output does not match the data.
        """
        return compute_adversarial_loss(self, data, data_idx)

    def compute_generator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of the generator on as many generated examples as the batch has."""
        fake = generate_like(get_tensor(data, "x"), self.generator, self.prior)
        return {"loss": -check_scores("critic", call_frozen(self.discriminator, fake), fake).mean()}

    def compute_discriminator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of the critic and its two terms.

        Returns:
            ``loss``, the ``distance`` E[c(x)] - E[c(G(z))], and the unweighted ``penalty``.
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
    """Compute the mean of (|grad c(x')| - 1)^2 at random points x' between real and generated examples.

    Args:
        critic: From data (batch, \\*x_shape) to scores of shape (batch,).
        x: Real data of shape (batch, \\*x_shape).
        fake: Generated data of the same shape.

    Returns:
        Scalar tensor. Its gradient reaches the parameters of the critic if gradients are enabled.
    """
    position = torch.rand(len(x), *[1] * (x.ndim - 1), dtype=x.dtype, device=x.device)
    points = torch.lerp(fake.to(x.dtype), x, position).requires_grad_()  # their types may differ in mixed precision
    is_training = torch.is_grad_enabled()
    with torch.enable_grad():  # the slope is also needed when a loss is only evaluated
        scores = critic(points).sum()
    (slopes,) = torch.autograd.grad(scores, [points], create_graph=is_training)
    return (slopes.flatten(1).norm(dim=1) - 1).square().mean()
