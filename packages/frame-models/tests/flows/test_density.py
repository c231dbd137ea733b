from math import log, sqrt
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import Distribution, Independent, Normal, Uniform

from frame_models import DensityEstimator


class Gaussian(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.tensor([0.3, -0.2]))

    def forward(self) -> Distribution:
        return Independent(Normal(self.mean, 0.5), 1)


class UnitSquare(nn.Module):
    def forward(self) -> Distribution:
        return Independent(Uniform(torch.zeros(2), torch.ones(2), validate_args=False), 1)


class Triangle(nn.Module):
    """The density 2 v on the unit interval, whose mass on each level is known."""

    def forward(self) -> Distribution:
        return Independent(torch.distributions.Beta(torch.tensor([2.0]), torch.tensor([1.0])), 1)


def test_the_loss_of_continuous_data_is_the_negative_log_density_in_closed_form() -> None:
    x = torch.randn(6, 2)
    quantities = DensityEstimator(Gaussian()).compute_loss({"x": x}, 0)
    square = ((x - torch.tensor([0.3, -0.2])) / 0.5).square().sum(1) / 2
    torch.testing.assert_close(quantities["loss"].detach(), (square + log(2 * torch.pi * 0.25)).mean())
    assert list(quantities) == ["loss"]


def test_training_finds_the_mean_of_the_data() -> None:
    torch.manual_seed(0)
    model, x = DensityEstimator(density := Gaussian()), torch.randn(500, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(60):
        optimizer.zero_grad()
        model.compute_loss({"x": x}, step)["loss"].backward()
        optimizer.step()
    torch.testing.assert_close(density.mean.detach(), x.mean(0), atol=1e-4, rtol=0)


def test_uniform_levels_have_the_probability_of_a_uniform_distribution() -> None:
    x = torch.randint(5, (7, 2)) / 4
    quantities = DensityEstimator(UnitSquare(), n_levels=5).compute_loss({"x": x}, 0)
    torch.testing.assert_close(quantities["loss"], torch.tensor(2 * log(5)))
    torch.testing.assert_close(quantities["bits_per_dimension"], torch.tensor(log(5) / log(2)))


def test_the_mean_weight_is_the_probability_of_a_level() -> None:
    torch.manual_seed(0)
    k, n, n_samples = torch.arange(4), 4, 100_000
    weights = DensityEstimator(Triangle(), n).compute_log_weights({"x": (k / 3).unsqueeze(1)}, n_samples).exp()
    expected = ((k + 1) ** 2 - k**2) / n**2  # the integral of 2 v over the level
    assert ((weights.mean(0) - expected).abs() < 4 * weights.std(0) / sqrt(n_samples)).all()


def test_one_sample_is_a_lower_bound_on_average() -> None:
    torch.manual_seed(0)
    x = torch.zeros(1, 1)
    bound = DensityEstimator(Triangle(), 4).compute_log_weights({"x": x}, 10_000).mean()
    # E log (2 u / 4) - log 4 = log 2 - 1 - 2 log 4, below log 1 / 16
    assert bound.item() == pytest.approx(log(2) - 1 - 2 * log(4), abs=4 / sqrt(10_000))
    assert bound < log(1 / 16)


def test_samples_of_discrete_data_are_levels() -> None:
    torch.manual_seed(0)
    x = DensityEstimator(Triangle(), n_levels=4).sample(torch.Size([20_000]))
    levels, counts = x.unique(return_counts=True)
    torch.testing.assert_close(levels, torch.tensor([0.0, 1 / 3, 2 / 3, 1.0]))
    expected = torch.tensor([1.0, 3.0, 5.0, 7.0]) / 16
    assert ((counts / 20_000 - expected).abs() < 4 * (expected * (1 - expected) / 20_000).sqrt()).all()


def test_a_density_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`density` must .* event shape \(3,\), got \(\) and \(2,\)"):
        DensityEstimator(Gaussian()).compute_loss({"x": torch.zeros(4, 3)}, 0)


@pytest.mark.parametrize(("n_levels", "error"), [(1, ValueError), (2.5, TypeError)])
def test_a_bad_number_of_levels_is_refused(n_levels: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="`n_levels` must be"):
        DensityEstimator(Gaussian(), n_levels)
