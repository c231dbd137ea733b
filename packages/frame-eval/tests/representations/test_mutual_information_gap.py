from math import log

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal

from frame_core import Delta, Model, run_evaluation
from frame_core.testing import TinyOptimization
from frame_eval import MutualInformationGapEvaluation
from frame_eval.representations.mutual_information_gap import compute_mutual_information


class Encoder(Model):
    """q(z | x) = N(x, scale^2) in each dimension."""

    def __init__(self, scale: float = 1e-2) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def compute_loss(self, data, data_idx):
        raise NotImplementedError

    def encode(self, x: Tensor) -> Distribution:
        return Independent(Normal(x, self.scale), 1)


def make_factors(n_examples: int = 1500) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.stack([torch.randint(n, (n_examples,), generator=generator) for n in (2, 3, 5)], 1)


def compute_gap(x: Tensor, factors: Tensor, model: Model | None = None) -> float:
    split = [{"x": row, "factors": factor} for row, factor in zip(x, factors)]
    return float(
        run_evaluation(
            MutualInformationGapEvaluation("valid"), TinyOptimization(model or Encoder(), {"valid": split})
        ).value
    )


def test_the_gap_is_one_if_each_factor_is_a_dimension() -> None:
    factors = make_factors()
    assert compute_gap(factors.float(), factors) == pytest.approx(1, abs=0.02)  # the factors correlate by chance


def test_a_rotation_halves_what_a_dimension_knows() -> None:
    factors = make_factors()
    in_two_dimensions = torch.cat([factors.float(), factors.float()], 1)
    assert compute_gap(in_two_dimensions, factors) == pytest.approx(0, abs=1e-3)


def test_the_gap_of_noise_is_near_zero() -> None:
    factors = make_factors()
    noise = torch.randn(len(factors), 4, generator=torch.Generator().manual_seed(1))
    assert compute_gap(noise, factors, Encoder(scale=0.3)) == pytest.approx(0, abs=0.02)


def test_a_posterior_as_wide_as_the_prior_knows_nothing_even_if_its_mean_does() -> None:
    factors = make_factors()
    assert compute_gap(1e-3 * factors.float(), factors, Encoder(scale=1.0)) == pytest.approx(0, abs=1e-3)


def test_the_gap_of_a_small_case_is_that_computed_by_hand() -> None:
    # v is 0, 0, 1, 1. The first dimension is v, with log 2 nats. The second separates the last example from the others:
    # H(v) - H(v | z_2) = log 2 - 3/4 H(1/3).
    factors = torch.tensor([[0], [0], [1], [1]])
    x = torch.tensor([[0.0, 0.0], [0.0, 0.0], [5.0, 0.0], [5.0, 5.0]])
    second = log(2) - 0.75 * (-(1 / 3) * log(1 / 3) - (2 / 3) * log(2 / 3))
    assert compute_gap(x, factors) == pytest.approx((log(2) - second) / log(2), rel=1e-4)


def test_the_information_of_a_noisy_channel_is_that_of_numerical_integration() -> None:
    # z = v + noise for a fair coin v: H(z) - H(noise), integrated on a grid
    torch.manual_seed(0)
    v = torch.arange(4000) % 2
    grid = torch.linspace(-6, 7, 20_001)
    density = (Normal(0.0, 0.7).log_prob(grid).exp() + Normal(1.0, 0.7).log_prob(grid).exp()) / 2
    expected = -torch.trapezoid(torch.xlogy(density, density), grid) - Normal(0.0, 0.7).entropy()
    posterior = Normal(v.float().unsqueeze(1), 0.7)
    information = compute_mutual_information([posterior], v.unsqueeze(1))
    assert information.shape == (1, 1)
    # log q(z | v) - log q(z) has a standard deviation below 0.6
    assert information.item() == pytest.approx(expected.item(), abs=4 * 0.6 / 4000**0.5)


class Correlated(Encoder):
    def encode(self, x: Tensor) -> Distribution:
        return MultivariateNormal(x, torch.eye(2))


class Deterministic(Encoder):
    def encode(self, x: Tensor) -> Distribution:
        return Delta(x, 1)


@pytest.mark.parametrize(("model", "message"), [(Correlated(), "independent dimensions"), (Deterministic(), "density")])
def test_a_posterior_without_densities_of_its_dimensions_is_refused(model: Model, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        compute_gap(torch.randn(1500, 2), make_factors(), model)
