import pytest
import torch
from torch import Tensor
from torch.distributions import TransformedDistribution, Uniform
from torch.distributions.transforms import AffineTransform, SigmoidTransform

from frame_architectures.discretized_logistic import DiscretizedLogistic

LOCATIONS = [-0.5, 0.0, 0.3, 1.0, 2.0]
SCALES = [1e-3, 0.05, 1.0]


def make_values(n_levels: int) -> Tensor:
    return torch.arange(n_levels, dtype=torch.double) / (n_levels - 1)


def make_logistic(location: Tensor, scale: Tensor) -> TransformedDistribution:
    """Return the continuous distribution, as in the documentation of torch."""
    uniform = Uniform(torch.zeros_like(location), torch.ones_like(location))
    return TransformedDistribution(uniform, [SigmoidTransform().inv, AffineTransform(location, scale)])


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("scale", SCALES)
def test_probabilities_are_those_of_the_rounded_logistic_distribution(location: float, scale: float) -> None:
    parameters = torch.tensor([location, scale], dtype=torch.double)
    values = make_values(9)
    probabilities = DiscretizedLogistic(*parameters, n_levels=9).log_prob(values).exp()
    borders = make_logistic(*parameters).cdf((values[1:] + values[:-1]) / 2)
    expected = torch.cat([borders[:1], borders.diff(), 1 - borders[-1:]])
    torch.testing.assert_close(probabilities, expected, rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(probabilities.sum(), torch.ones((), dtype=torch.double))


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("scale", SCALES)
def test_the_mean_is_that_of_a_sum_over_all_values(location: float, scale: float) -> None:
    distribution = DiscretizedLogistic(*torch.tensor([location, scale], dtype=torch.double))
    values = make_values(256)
    torch.testing.assert_close(distribution.mean, (distribution.log_prob(values).exp() * values).sum())


def test_samples_have_the_probabilities() -> None:
    torch.manual_seed(0)
    distribution = DiscretizedLogistic(torch.tensor(0.4), torch.tensor(0.3), n_levels=4)
    samples = distribution.sample(torch.Size([100_000]))
    frequencies = (3 * samples).round().long().bincount(minlength=4) / len(samples)
    probabilities = distribution.log_prob(make_values(4)).exp()
    assert ((frequencies - probabilities).abs() < 4 * (probabilities / len(samples)).sqrt()).all()


def test_improbable_values_have_a_finite_log_probability_and_gradient() -> None:
    location = torch.tensor([-30.0, 0.5, 30.0], requires_grad=True)
    log_prob = DiscretizedLogistic(location, torch.tensor(1e-3)).log_prob(torch.tensor([1.0, 0.0, 0.5]))
    assert log_prob.isfinite().all()
    log_prob.sum().backward()
    assert location.grad is not None
    torch.testing.assert_close(location.grad, torch.tensor([1000.0, -1000.0, -1000.0]), rtol=1e-3, atol=1e-3)
