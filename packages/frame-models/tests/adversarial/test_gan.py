from math import log, sqrt

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Normal
from torch.nn.functional import binary_cross_entropy_with_logits

from frame_core import Delta
from frame_core.testing import check_model
from frame_models import GenerativeAdversarialNetwork

SHIFT = 1.3


class StandardNormal(nn.Module):
    def __init__(self, z_dim: int = 1) -> None:
        super().__init__()
        self.z_dim = z_dim

    def forward(self) -> Distribution:
        return Independent(Normal(torch.zeros(self.z_dim), 1.0), 1)


class Shift(nn.Module):
    """G(z) = z + shift, which generates N(shift, 1)."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(shift))

    def forward(self, z: Tensor) -> Distribution:
        return Delta(z + self.shift, 1)


class BernoulliDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 2)

    def forward(self, z: Tensor) -> Distribution:
        return Independent(Bernoulli(logits=self.linear(z)), 1)


class LinearDiscriminator(nn.Module):
    def __init__(self, weight: float, bias: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.bias = nn.Parameter(torch.tensor(bias))

    def forward(self, x: Tensor) -> Tensor:
        return (self.weight * x + self.bias).sum(-1)


def make_best_discriminator() -> LinearDiscriminator:
    """Make log N(x; SHIFT, 1) / N(x; 0, 1), the best discriminator of real data at SHIFT and generated data at 0."""
    return LinearDiscriminator(SHIFT, -(SHIFT**2) / 2)


def make_model(discriminator: nn.Module | None = None) -> GenerativeAdversarialNetwork:
    return GenerativeAdversarialNetwork(Shift(0.0), discriminator or LinearDiscriminator(0.7, -0.2), StandardNormal())


def jensen_shannon_divergence() -> Tensor:
    """Compute the divergence of N(SHIFT, 1) and N(0, 1), in nats, by the trapezoidal rule."""
    x = torch.linspace(-12, 12, 20_001, dtype=torch.double)
    real, fake = Normal(SHIFT, 1.0).log_prob(x), Normal(0.0, 1.0).log_prob(x)
    mixture = torch.logaddexp(real, fake) - log(2)
    integrand = (real.exp() * (real - mixture) + fake.exp() * (fake - mixture)) / 2
    return torch.trapezoid(integrand, x).float()


def test_loss_of_the_best_discriminator_is_that_of_the_jensen_shannon_divergence() -> None:
    torch.manual_seed(0)
    model = make_model(make_best_discriminator())
    losses = torch.stack(
        [model.compute_discriminator_loss({"x": SHIFT + torch.randn(2000, 1)}, 0)["loss"] for _ in range(100)]
    )
    standard_error = losses.std() / sqrt(len(losses))
    assert (losses.mean() - (2 * log(2) - 2 * jensen_shannon_divergence())).abs() < 4 * standard_error


def test_best_discriminator_has_nothing_left_to_learn() -> None:
    torch.manual_seed(0)
    discriminator = make_best_discriminator()
    model = make_model(discriminator)
    n_data = 200_000
    model.compute_discriminator_loss({"x": SHIFT + torch.randn(n_data, 1)}, 0)["loss"].backward()
    assert discriminator.weight.grad is not None
    assert discriminator.bias.grad is not None
    # The derivatives are means of -(1 - p) and p, times x and 1, over real and generated data: below |x| <= 2 or so.
    assert discriminator.bias.grad.abs() < 4 * sqrt(2 / n_data)
    assert discriminator.weight.grad.abs() < 4 * sqrt(2 * (1 + SHIFT**2) / n_data)


def test_losses_are_binary_cross_entropies() -> None:
    model = make_model()
    x = SHIFT + torch.randn(16, 1)
    torch.manual_seed(1)
    fake = torch.randn(16, 1)  # the generator does not shift the samples of the prior
    logits, fake_logits = model.discriminator(x), model.discriminator(fake)
    real, generated = torch.ones(16), torch.zeros(16)
    torch.manual_seed(1)
    of_discriminator = model.compute_discriminator_loss({"x": x}, 0)
    expected = binary_cross_entropy_with_logits(logits, real) + binary_cross_entropy_with_logits(fake_logits, generated)
    torch.testing.assert_close(of_discriminator["loss"], expected)
    torch.testing.assert_close(of_discriminator["real_probability"], (1 / (1 + (-logits).exp())).mean())
    torch.testing.assert_close(of_discriminator["fake_probability"], (1 / (1 + (-fake_logits).exp())).mean())
    torch.manual_seed(1)
    of_generator = model.compute_generator_loss({"x": x}, 0)
    torch.testing.assert_close(of_generator["loss"], binary_cross_entropy_with_logits(fake_logits, real))


def test_generator_learns_from_a_confident_discriminator() -> None:
    # Non-saturating: with logits of -50 the gradient is the slope of the discriminator; log(1 - p) would have none.
    model = make_model(LinearDiscriminator(2.0, -50.0))
    model.compute_generator_loss({"x": torch.zeros(8, 1)}, 0)["loss"].backward()
    torch.testing.assert_close(model.generator.get_parameter("shift").grad, torch.tensor(-2.0))


def test_the_loss_is_the_sum_and_quantities_are_prefixed_with_their_part() -> None:
    quantities = make_model().compute_loss({"x": torch.randn(16, 1)}, 0)
    assert list(quantities) == [
        "loss",
        "generator_loss",
        "discriminator_loss",
        "discriminator_real_probability",
        "discriminator_fake_probability",
    ]
    expected = quantities["generator_loss"] + quantities["discriminator_loss"]
    torch.testing.assert_close(quantities["loss"].detach(), expected)


def test_the_gradient_of_the_sum_is_that_of_each_loss_for_its_own_part() -> None:
    model = make_model()
    batch = {"x": torch.randn(16, 1)}
    torch.manual_seed(1)
    model.compute_loss(batch, 0)["loss"].backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    model.zero_grad()
    torch.manual_seed(1)  # the generator draws first
    model.compute_generator_loss(batch, 0)["loss"].backward()
    model.compute_discriminator_loss(batch, 0)["loss"].backward()
    torch.testing.assert_close(gradients, [parameter.grad for parameter in model.parameters()])


def test_samples_follow_the_generator() -> None:
    torch.manual_seed(0)
    model = GenerativeAdversarialNetwork(Shift(SHIFT), LinearDiscriminator(1.0, 0.0), StandardNormal())
    samples = model.sample(torch.Size([100_000])).detach()
    assert samples.shape == (100_000, 1)
    assert (samples.mean() - SHIFT).abs() < 4 / sqrt(100_000)
    assert (samples.var() - 1).abs() < 4 * sqrt(2 / 100_000)


def test_a_decoder_is_a_generator() -> None:
    model = GenerativeAdversarialNetwork(BernoulliDecoder(), LinearDiscriminator(1.0, 0.0), StandardNormal())
    check_model(model, {"x": torch.rand(5, 2)})
    assert set(model.sample(torch.Size([100]), sample_output=True).flatten().tolist()) == {0.0, 1.0}
    assert not set(model.sample(torch.Size([100])).flatten().tolist()) & {0.0, 1.0}


def test_logits_that_would_broadcast_are_refused() -> None:
    model = make_model(nn.Linear(1, 1))
    for compute_loss in (model.compute_generator_loss, model.compute_discriminator_loss):
        with pytest.raises(ValueError, match=r"`discriminator` must return a tensor of shape \(4,\), got \(4, 1\)"):
            compute_loss({"x": torch.randn(4, 1)}, 0)


def test_a_generator_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`generator` must .* event shape \(2,\), got \(4,\) and \(1,\)"):
        make_model().compute_loss({"x": torch.randn(4, 2)}, 0)
