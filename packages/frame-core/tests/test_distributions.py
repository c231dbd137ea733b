import math

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Gamma, Independent, MixtureSameFamily, MultivariateNormal, Normal

from frame_core import ConditionalDistribution, MarginalDistribution, kl_divergence


def divergence_of_normals(mean: Tensor, scale: Tensor) -> Tensor:
    """KL(N(mean, scale²) || N(0, 1)), summed over the event: (scale² + mean² - 1) / 2 - log scale."""
    return ((scale**2 + mean**2 - 1) / 2 - scale.log()).sum(-1)


def make_posterior(mean: Tensor, scale: Tensor) -> Distribution:
    return Independent(Normal(mean, scale), 1)


def make_registered_prior() -> Distribution:
    return Independent(Normal(torch.zeros(2), torch.ones(2)), 1)


def make_unregistered_prior() -> Distribution:
    """The same standard normal, as a class for whose pair with the posterior torch knows no formula."""
    return MultivariateNormal(torch.zeros(2), torch.eye(2))


def test_where_torch_has_a_closed_form_no_sample_is_used() -> None:
    mean, scale = torch.randn(5, 2), torch.rand(5, 2) + 0.5
    z = torch.full((5, 2), math.nan)
    divergence = kl_divergence(make_posterior(mean, scale), make_registered_prior(), z)
    torch.testing.assert_close(divergence, divergence_of_normals(mean, scale))


def test_otherwise_the_estimate_is_the_divergence_within_four_standard_errors() -> None:
    torch.manual_seed(0)
    mean, scale = torch.tensor([[0.5, -1.0]]), torch.tensor([[0.7, 1.5]])
    q = make_posterior(mean.expand(100_000, 2), scale.expand(100_000, 2))
    estimates = kl_divergence(q, make_unregistered_prior(), q.rsample())
    standard_error = estimates.std() / len(estimates) ** 0.5
    assert estimates.shape == (100_000,)
    assert (estimates.mean() - divergence_of_normals(mean, scale)).abs() < 4 * standard_error


def test_the_gradient_of_the_estimate_is_that_of_the_divergence_within_four_standard_errors() -> None:
    torch.manual_seed(0)
    mean = torch.tensor([[0.5, -1.0]]).repeat(100_000, 1).requires_grad_()
    scale = torch.tensor([[0.7, 1.5]]).repeat(100_000, 1).requires_grad_()
    q = make_posterior(mean, scale)
    estimates = kl_divergence(q, make_unregistered_prior(), q.rsample())
    exact = divergence_of_normals(mean, scale)
    for estimated, expected in zip(
        torch.autograd.grad(estimates.sum(), [mean, scale]), torch.autograd.grad(exact.sum(), [mean, scale])
    ):
        standard_error = estimated.std(dim=0) / len(estimated) ** 0.5
        assert ((estimated.mean(dim=0) - expected[0]).abs() < 4 * standard_error).all()


def test_the_divergence_from_a_mixture_is_estimated() -> None:
    torch.manual_seed(0)
    q = Normal(torch.zeros(10), torch.ones(10))
    p = MixtureSameFamily(torch.distributions.Categorical(torch.ones(2)), Normal(torch.zeros(2), torch.ones(2)))
    torch.testing.assert_close(kl_divergence(q, p, q.sample()), torch.zeros(10))  # a mixture of twice the same


def test_a_closed_form_that_is_not_of_normals_is_used_as_well() -> None:
    q, p = Gamma(torch.full((3,), 2.0), torch.tensor(1.0)), Gamma(torch.tensor(1.0), torch.tensor(1.0))
    expected = torch.digamma(torch.tensor(2.0)) - math.lgamma(2.0)  # KL(Gamma(a, 1) || Gamma(1, 1)), a = 2
    torch.testing.assert_close(kl_divergence(q, p, torch.full((3,), math.nan)), expected.expand(3))


def test_a_distribution_of_ones_own_is_called_as_a_module() -> None:
    class Shifted(ConditionalDistribution):
        def __init__(self) -> None:
            super().__init__()
            self.shift = nn.Parameter(torch.ones(()))

        def forward(self, x: Tensor) -> Distribution:
            return Normal(x + self.shift, 1.0)

    class Standard(MarginalDistribution):
        def forward(self) -> Distribution:
            return Normal(torch.zeros(()), 1.0)

    assert Shifted()(torch.zeros(3)).mean.tolist() == [1, 1, 1]
    assert Standard()().mean == 0
    assert len(list(Shifted().parameters())) == 1
