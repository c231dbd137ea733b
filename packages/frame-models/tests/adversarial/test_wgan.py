from math import nan, sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from frame_core import Delta, LinearWarmup
from frame_core.testing import check_model
from frame_models import WassersteinGAN
from frame_models.adversarial.wgan import compute_gradient_penalty

X_SHAPE = (2, 3)
WEIGHT = torch.tensor([[0.5, -1.0, 2.0], [0.3, 0.0, -0.7]])


class StandardNormal(nn.Module):
    def forward(self) -> Distribution:
        return Independent(Normal(torch.zeros(X_SHAPE), 1.0), 2)


class Shift(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(X_SHAPE))

    def forward(self, z: Tensor) -> Distribution:
        return Delta(z + self.shift, 2)


class LinearCritic(nn.Module):
    """c(x) = w x, whose slope is |w| everywhere."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone())

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weight).flatten(-2).sum(-1)


class HalfSquare(nn.Module):
    """c(x) = |x|^2 / 2, whose slope at x is |x|. Stores its input."""

    def forward(self, x: Tensor) -> Tensor:
        self.x = x.detach()
        return x.square().flatten(-2).sum(-1) / 2


def make_model(penalty_weight: Any = 10.0) -> WassersteinGAN:
    return WassersteinGAN(Shift(), LinearCritic(WEIGHT), StandardNormal(), penalty_weight)


def test_penalty_of_a_linear_critic_is_that_of_its_weight() -> None:
    critic = LinearCritic(WEIGHT)
    penalty = compute_gradient_penalty(critic, torch.randn(5, *X_SHAPE), torch.randn(5, *X_SHAPE))
    norm = WEIGHT.square().sum().sqrt()
    torch.testing.assert_close(penalty, (norm - 1) ** 2)
    penalty.backward()
    torch.testing.assert_close(critic.weight.grad, 2 * (norm - 1) * WEIGHT / norm)


def test_penalty_is_a_mean_over_examples_of_slopes_over_the_event() -> None:
    x = torch.randn(5, *X_SHAPE)
    expected = (x.flatten(1).square().sum(1).sqrt() - 1).square().mean()
    torch.testing.assert_close(compute_gradient_penalty(HalfSquare(), x, x), expected)


def test_slopes_are_taken_uniformly_on_the_lines_between_real_and_generated_examples() -> None:
    torch.manual_seed(0)
    n_data = 10_000
    critic, x, fake = HalfSquare(), torch.full((n_data, *X_SHAPE), 3.0), torch.full((n_data, *X_SHAPE), 1.0)
    compute_gradient_penalty(critic, x, fake)
    positions = (critic.x - 1.0) / 2.0
    torch.testing.assert_close(positions, positions[:, :1, :1].expand_as(positions))  # one position per example
    position = positions[:, 0, 0]
    assert position.min() >= 0
    assert position.max() <= 1
    assert (position.mean() - 1 / 2).abs() < 4 * sqrt(1 / 12 / n_data)
    assert (position.square().mean() - 1 / 3).abs() < 4 * sqrt(4 / 45 / n_data)


def test_distance_of_a_linear_critic_is_that_of_the_means() -> None:
    model = make_model()
    x = torch.randn(16, *X_SHAPE)
    torch.manual_seed(1)
    fake = StandardNormal()().sample(torch.Size([16]))
    expected = (WEIGHT * (x.mean(0) - fake.mean(0))).sum()
    torch.manual_seed(1)
    quantities = model.compute_discriminator_loss({"x": x}, 0)
    torch.testing.assert_close(quantities["distance"], expected)
    torch.testing.assert_close(quantities["loss"].detach(), -expected + 10 * quantities["penalty"])
    torch.manual_seed(1)
    generator_loss = model.compute_generator_loss({"x": x}, 0)["loss"]
    torch.testing.assert_close(generator_loss, -(WEIGHT * fake.mean(0)).sum())
    generator_loss.backward()
    torch.testing.assert_close(model.generator.get_parameter("shift").grad, -WEIGHT)


def test_best_linear_critic_has_nothing_left_to_learn() -> None:
    # -|w| D + lambda (|w| - 1)^2, with w along the difference of the means, is least at |w| = 1 + D / (2 lambda).
    x = torch.zeros(4, *X_SHAPE)
    x[:, 0, 0] = 3.0
    weight = torch.zeros(X_SHAPE)
    weight[0, 0] = 1 + 3.0 / (2 * 10.0)
    generator, critic = Shift(), LinearCritic(weight)
    model = WassersteinGAN(generator, critic, PointAtZero(), penalty_weight=10.0)
    model.compute_discriminator_loss({"x": x}, 0)["loss"].backward()
    torch.testing.assert_close(critic.weight.grad, torch.zeros(X_SHAPE), rtol=0, atol=1e-5)  # of terms near 3


class PointAtZero(nn.Module):
    def forward(self) -> Distribution:
        return Delta(torch.zeros(X_SHAPE), 2)


@pytest.mark.parametrize("penalty_weight", [0.0, 0.5, 10.0])
def test_penalty_is_weighted(penalty_weight: float) -> None:
    quantities = make_model(penalty_weight).compute_discriminator_loss({"x": torch.randn(16, *X_SHAPE)}, 0)
    assert list(quantities) == ["loss", "distance", "penalty"]
    expected = -quantities["distance"] + penalty_weight * quantities["penalty"]
    torch.testing.assert_close(quantities["loss"].detach(), expected)


def test_penalty_weight_may_be_a_schedule() -> None:
    model = make_model(LinearWarmup(0.0, 10.0, over="5 epochs"))
    quantities = model.compute_discriminator_loss({"x": torch.randn(16, *X_SHAPE)}, 0)
    torch.testing.assert_close(quantities["loss"].detach(), -quantities["distance"])
    check_model(model, {"x": torch.randn(16, *X_SHAPE)})


def test_the_loss_is_the_sum_and_quantities_are_prefixed_with_their_part() -> None:
    quantities = make_model().compute_loss({"x": torch.randn(16, *X_SHAPE)}, 0)
    names = ["generator_loss", "discriminator_loss", "discriminator_distance", "discriminator_penalty"]
    assert list(quantities) == ["loss", *names]
    expected = quantities["generator_loss"] + quantities["discriminator_loss"]
    torch.testing.assert_close(quantities["loss"].detach(), expected)


def test_losses_are_evaluated_without_gradient_as_well() -> None:
    model = make_model()
    x = torch.randn(16, *X_SHAPE)
    torch.manual_seed(1)
    expected = model.compute_loss({"x": x}, 0)
    torch.manual_seed(1)
    with torch.no_grad():
        quantities = model.compute_loss({"x": x}, 0)
    assert not any(value.requires_grad for value in quantities.values())
    torch.testing.assert_close(quantities, {name: value.detach() for name, value in expected.items()})


def test_generator_is_moved_to_the_data() -> None:
    torch.manual_seed(0)
    model = WassersteinGAN(Shift(), LinearCritic(WEIGHT), StandardNormal())
    of_generator = torch.optim.SGD(model.generator.parameters(), lr=0.05)
    of_critic = torch.optim.SGD(model.discriminator.parameters(), lr=0.05)
    for step in range(100):
        batch = {"x": torch.randn(64, *X_SHAPE) + 1.0}
        for _ in range(10):
            of_critic.zero_grad()
            model.compute_discriminator_loss(batch, step)["loss"].backward()
            of_critic.step()
        of_generator.zero_grad()
        model.compute_generator_loss(batch, step)["loss"].backward()
        of_generator.step()
    # From 2.4 away, in steps of 0.05 along a slope of about one, it approaches the optimum and oscillates around it.
    distance = (model.sample(torch.Size([10_000])).mean(0).detach() - 1.0).square().sum().sqrt()
    assert distance < 0.5


@pytest.mark.parametrize(
    ("penalty_weight", "error"), [(-1.0, ValueError), (nan, ValueError), ("10", TypeError), (None, TypeError)]
)
def test_bad_penalty_weights_are_refused(penalty_weight: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"^`penalty_weight` must be .*, got {penalty_weight!r}\.$"):
        make_model(penalty_weight)


def test_scores_that_would_broadcast_are_refused() -> None:
    critic = nn.Sequential(nn.Flatten(), nn.Linear(6, 1))
    model = WassersteinGAN(Shift(), critic, StandardNormal())
    for compute_loss in (model.compute_generator_loss, model.compute_discriminator_loss):
        with pytest.raises(ValueError, match=r"`critic` must return a tensor of shape \(4,\), got \(4, 1\)"):
            compute_loss({"x": torch.randn(4, *X_SHAPE)}, 0)
