from math import log

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal

from frame_models import FactorVAE
from frame_models.autoencoders.factor_vae import permute_dimensions

CORRELATION = 0.8


class Prior(nn.Module):
    def forward(self) -> Distribution:
        return Independent(Normal(torch.zeros(2), 1.0), 1)


class Noisy(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.shift = nn.Parameter(torch.zeros(2))

    def forward(self, value: Tensor) -> Distribution:
        return Independent(Normal(value + self.shift, self.scale), 1)


class DensityRatio(nn.Module):
    """log q(z) - log prod_d q(z_d) of a normal distribution with a correlation: the best discriminator."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, z: Tensor) -> Tensor:
        covariance = torch.tensor([[1.0, CORRELATION], [CORRELATION, 1.0]])
        joint = MultivariateNormal(torch.zeros(2), covariance).log_prob(z)
        return self.weight * (joint - Normal(0.0, 1.0).log_prob(z).sum(1))


def make_model(gamma: float = 3.0, discriminator: nn.Module | None = None) -> FactorVAE:
    return FactorVAE(Noisy(1e-3), Noisy(1.0), Prior(), discriminator or DensityRatio(), gamma)


def draw(n_examples: int) -> Tensor:
    torch.manual_seed(0)
    first, second = torch.randn(2, n_examples)
    return torch.stack([first, CORRELATION * first + (1 - CORRELATION**2) ** 0.5 * second], 1)


def test_with_the_best_discriminator_the_penalty_is_the_total_correlation() -> None:
    quantities = make_model().compute_generator_loss({"x": draw(100_000)}, 0)
    expected = -0.5 * log(1 - CORRELATION**2)
    # the log ratio of a standard normal pair has the standard deviation `CORRELATION`
    assert quantities["total_correlation"].item() == pytest.approx(expected, abs=4 * CORRELATION / 100_000**0.5)
    bound = quantities["reconstruction"] + quantities["regularization"]
    torch.testing.assert_close(quantities["loss"].detach(), bound + 3.0 * quantities["total_correlation"])


def test_the_best_discriminator_minimizes_its_loss() -> None:
    discriminator = DensityRatio()
    model = make_model(discriminator=discriminator)
    model.compute_discriminator_loss({"x": draw(200_000)}, 0)["loss"].backward()
    assert discriminator.weight.grad is not None
    # the two terms of the gradient are means of 200,000 numbers of a standard deviation below 1
    assert abs(discriminator.weight.grad.item()) < 4 * (2 / 200_000) ** 0.5


def test_the_loss_of_a_discriminator_that_knows_nothing_is_two_log_two() -> None:
    discriminator = DensityRatio()
    discriminator.weight.data.zero_()
    quantities = make_model(discriminator=discriminator).compute_discriminator_loss({"x": draw(10)}, 0)
    assert quantities["loss"].item() == pytest.approx(2 * log(2))


def test_permuted_dimensions_keep_their_values_and_lose_their_correlation() -> None:
    z = draw(10_000)
    permuted = permute_dimensions(z)
    torch.testing.assert_close(permuted.sort(0).values, z.sort(0).values, rtol=0, atol=0)
    assert abs(permuted.T.corrcoef()[0, 1]) < 4 / 10_000**0.5


def test_a_discriminator_that_returns_a_column_is_refused() -> None:
    model = make_model(discriminator=nn.Linear(2, 1))
    for compute in (model.compute_generator_loss, model.compute_discriminator_loss):
        with pytest.raises(ValueError, match=r"`discriminator` must return a tensor of shape \(5,\), got \(5, 1\)"):
            compute({"x": draw(5)}, 0)


def test_a_negative_gamma_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^`gamma` must be non-negative, got -1.0\.$"):
        make_model(-1.0)
