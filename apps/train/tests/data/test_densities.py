import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import make_moons
from torch import Tensor

from frame_train.data import Checkerboard, CorrelatedGaussians, EightGaussians, InMemoryDataset, Moons

N_DATA = 4000


def read(data_set: InMemoryDataset) -> dict[str, Tensor]:
    return data_set.get_batch(torch.arange(len(data_set)))


def check_same_distribution(points: Tensor, expected: Tensor) -> None:
    """Compare two samples along several directions, each by a Kolmogorov-Smirnov test of level 1/1000."""
    for angle in torch.arange(8) * math.pi / 8:
        direction = torch.stack([angle.cos(), angle.sin()])
        assert stats.ks_2samp((points @ direction).numpy(), (expected @ direction).numpy()).pvalue > 1e-3


def test_each_of_eight_gaussians_is_as_frequent_and_has_its_mean_and_variance() -> None:
    batch = read(EightGaussians(N_DATA))
    assert stats.chisquare(batch["y"].bincount(minlength=8).numpy()).pvalue > 1e-3
    means = torch.tensor([[5 * math.cos(k * math.pi / 4), 5 * math.sin(k * math.pi / 4)] for k in range(8)])
    squares = (batch["x"] - means[batch["y"]]).square().sum(1) / 0.1
    assert stats.kstest(squares.numpy(), stats.chi2(df=2).cdf).pvalue > 1e-3


def test_the_moons_are_those_of_scikit_learn() -> None:
    batch = read(Moons(N_DATA))
    points, labels = make_moons(N_DATA, noise=0.2, random_state=1)
    for label in (0, 1):
        expected = torch.from_numpy(3 * points[labels == label] - 1).float()
        check_same_distribution(batch["x"][batch["y"] == label], expected)


def test_the_checkerboard_is_that_of_ffjord() -> None:
    generator = np.random.default_rng(1)
    first = generator.uniform(-2, 2, N_DATA)
    second = generator.uniform(0, 1, N_DATA) - 2 * generator.integers(0, 2, N_DATA) + np.floor(first) % 2
    expected = torch.from_numpy(2 * np.stack([first, second], axis=1)).float()
    batch = read(Checkerboard(N_DATA))
    check_same_distribution(batch["x"], expected)
    for points in (batch["x"], expected):
        assert bool(((points / 2).floor().sum(1) % 2 == 0).all())  # all in dark squares
    squares = {tuple(square) for square in (batch["x"] / 2).floor().int().tolist()}
    assert len(squares) == 8
    assert stats.chisquare(batch["y"].bincount(minlength=8).numpy()).pvalue > 1e-3


@pytest.mark.parametrize("correlation", [0.0, 0.8, -0.5])
def test_the_mutual_information_is_that_of_the_covariances(correlation: float) -> None:
    data_set = CorrelatedGaussians(20_000, 5, correlation)
    batch = read(data_set)
    assert torch.equal(batch["x"], batch["v1"])
    joint = torch.cat([batch["v1"], batch["v2"]], dim=1).T
    halves = (torch.cov(part).logdet() for part in (joint[:5], joint[5:]))
    estimate = (sum(halves, -torch.cov(joint).logdet()) / 2).item()
    assert data_set.mutual_information == pytest.approx(estimate, abs=0.02)  # the estimate errs by 0.01
    torch.testing.assert_close(torch.cov(joint).diag(), torch.ones(10), rtol=0, atol=0.05)


@pytest.mark.parametrize("make", [EightGaussians, Moons])
def test_the_log_density_integrates_to_one_and_has_the_moments_of_the_points(
    make: type[EightGaussians] | type[Moons],
) -> None:
    z = torch.linspace(-8, 9, 171, dtype=torch.float64)
    grid = torch.cartesian_prod(z, z)
    log_density = make.compute_log_prob(grid)
    mass = log_density.exp() * 0.1**2
    assert mass.sum().item() == pytest.approx(1.0, abs=1e-6)
    x = read(make(N_DATA))["x"].double()
    mean = (mass.unsqueeze(1) * grid).sum(0)
    covariance = ((grid - mean) * mass.unsqueeze(1)).T @ (grid - mean)
    assert ((x.mean(0) - mean).abs() < 4 * (covariance.diag() / N_DATA).sqrt()).all()
    torch.testing.assert_close(x.T.cov(), covariance, rtol=0.1, atol=0.3)  # four standard errors are less
    surprise = -make.compute_log_prob(x)
    entropy = -(mass * log_density).sum()
    assert (surprise.mean() - entropy).abs() < 4 * surprise.std() / math.sqrt(N_DATA)


@pytest.mark.parametrize("make", [EightGaussians, Moons, Checkerboard])
def test_points_depend_on_the_seed_alone(make: type[EightGaussians]) -> None:
    first = read(make(10, seed=3))["x"]
    torch.rand(3)
    assert torch.equal(read(make(10, seed=3))["x"], first)
    assert not torch.equal(read(make(10, seed=4))["x"], first)
    synthetic = make.synthesize(10, seed=3).get_batch(torch.arange(10))
    assert {name: value.shape for name, value in synthetic.items()} == {"x": (10, 2), "y": (10,)}
    with pytest.raises(ValueError, match="`n_data` must be positive, got 0"):
        make(0)


@pytest.mark.parametrize("correlation", [-1.0, 1.0, math.nan])
def test_a_correlation_that_determines_one_vector_is_refused(correlation: float) -> None:
    with pytest.raises(ValueError, match="`correlation` must be between -1 and 1, got"):
        CorrelatedGaussians(10, 2, correlation)
