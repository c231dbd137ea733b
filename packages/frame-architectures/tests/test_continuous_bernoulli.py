from math import log

import pytest
import torch
from torch import Tensor
from torch.distributions import ContinuousBernoulli as TorchContinuousBernoulli

from frame_architectures.continuous_bernoulli import ContinuousBernoulli

LOGITS = [-500.0, -40.0, -16.0, -1.0, -0.051, -0.049, -1e-4, 0.0, 1e-4, 0.049, 0.051, 1.0, 16.0, 40.0, 500.0]


def compute_mean(logits: Tensor) -> Tensor:
    """Compute coth(l / 2) / 2 - 1 / l + 1 / 2 in double precision, with its limit at 0."""
    half = logits.double() / 2
    return torch.where(half == 0, 0.5, 0.5 + (1 / torch.tanh(half) - 1 / half) / 2)


@pytest.mark.parametrize("logits", LOGITS)
def test_density_integrates_to_one(logits: float) -> None:
    # Half of the points are dense where the density is: within 1 / |logits| of 0 or 1.
    edge = torch.linspace(0, min(1.0, 50 / max(abs(logits), 1)), 100_001, dtype=torch.double)
    x = torch.cat([edge, torch.linspace(edge[-1].item(), 1, 1001, dtype=torch.double)])
    x = x if logits < 0 else 1 - x.flip(0)
    density = ContinuousBernoulli(torch.tensor(logits)).log_prob(x.float()).double().exp()
    total = torch.trapezoid(density, x)
    torch.testing.assert_close(total, torch.ones((), dtype=torch.double), rtol=1e-4, atol=0)  # of single precision


def test_density_beyond_a_logit_of_16_is_that_of_an_exponential_distribution() -> None:
    # its truncation to [0, 1] removes a mass of exp(-40)
    x = torch.tensor([0.0, 0.1, 1.0])
    torch.testing.assert_close(ContinuousBernoulli(torch.tensor(-40.0)).log_prob(x), log(40) - 40 * x)
    torch.testing.assert_close(ContinuousBernoulli(torch.tensor(40.0)).log_prob(1 - x), log(40) - 40 * x)
    assert ContinuousBernoulli(torch.tensor(-40.0)).log_prob(torch.tensor(0.0)) == pytest.approx(3.689, abs=1e-3)


@pytest.mark.parametrize("logits", [-8.0, -1.0, 0.0, 0.3, 5.0])
def test_density_and_mean_are_those_of_torch_where_it_does_not_clamp(logits: float) -> None:
    x, parameter = torch.linspace(0, 1, 11, dtype=torch.double), torch.tensor(logits, dtype=torch.double)
    ours, theirs = ContinuousBernoulli(parameter), TorchContinuousBernoulli(logits=parameter)
    torch.testing.assert_close(ours.log_prob(x), theirs.log_prob(x))
    torch.testing.assert_close(ours.mean, theirs.mean)


def test_mean_is_that_of_the_formula() -> None:
    logits = torch.tensor(LOGITS)
    torch.testing.assert_close(ContinuousBernoulli(logits).mean.double(), compute_mean(logits), rtol=0, atol=3e-6)


def test_gradient_of_the_log_density_is_the_distance_to_the_mean() -> None:
    logits = torch.tensor(LOGITS, requires_grad=True)
    ContinuousBernoulli(logits).log_prob(torch.tensor(0.25)).sum().backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad.double(), 0.25 - compute_mean(logits.detach()), rtol=0, atol=3e-6)


def test_samples_have_the_mean_and_follow_the_distribution_function() -> None:
    torch.manual_seed(0)
    logits = torch.tensor(LOGITS)
    x = ContinuousBernoulli(logits).sample(torch.Size([100_000]))
    assert ((x >= 0) & (x <= 1)).all()
    assert ((x.mean(0) - compute_mean(logits)).abs() < 4 * x.std(0) / 100_000**0.5).all()
    for index, logit in enumerate(LOGITS[:8]):  # F(m) = (exp(l m) - 1) / (exp(l) - 1), which is 1/2 at the median
        median = log(1 - (1 - torch.tensor(logit, dtype=torch.double).exp()) / 2) / logit if logit else 0.5
        assert abs((x[:, index] < median).float().mean() - 0.5) < 4 * 0.5 / 100_000**0.5


def test_gradient_of_a_sample_is_minus_the_derivative_of_the_distribution_function_over_the_density() -> None:
    torch.manual_seed(0)
    logits = torch.tensor(LOGITS[1:-1], requires_grad=True)
    x = ContinuousBernoulli(logits).rsample()
    (gradient,) = torch.autograd.grad(x.sum(), [logits])
    l, y = (value.detach().double() for value in (logits, x))  # noqa: E741  # of the formula
    step = 1e-4

    def cumulate(l: Tensor) -> Tensor:  # noqa: E741
        return torch.where(l == 0, y, torch.expm1(l * y) / torch.expm1(l))

    slope = (cumulate(l + step) - cumulate(l - step)) / (2 * step)
    density = torch.where(l == 0, 1.0, l * torch.exp(l * y) / torch.expm1(l))
    torch.testing.assert_close(gradient.double(), -slope / density, rtol=1e-3, atol=1e-5)
