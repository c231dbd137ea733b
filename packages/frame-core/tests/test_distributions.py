import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import (
    Bernoulli,
    Distribution,
    Gamma,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    TransformedDistribution,
)
from torch.distributions.transforms import ExpTransform

from frame_core import (
    ConditionalDistribution,
    Delta,
    MarginalDistribution,
    check_shapes,
    get_elementwise,
    get_mean,
    kl_divergence,
    reparametrize,
    sample_or_mean,
)


@pytest.mark.parametrize("deterministic_first", [True, False])
def test_the_divergence_of_a_distribution_without_a_density_is_refused(deterministic_first: bool) -> None:
    pair = [Delta(torch.zeros(3, 2), 1), Independent(Normal(torch.zeros(2), 1.0), 1)]
    q, p = pair if deterministic_first else pair[::-1]
    with pytest.raises(TypeError, match="a `Delta` has no density"):
        kl_divergence(q, p, torch.zeros(3, 2))


def divergence_of_normals(mean: Tensor, scale: Tensor) -> Tensor:
    """Return KL(N(mean, scale²) || N(0, 1)), summed over the event: (scale² + mean² - 1) / 2 - log scale."""
    return ((scale**2 + mean**2 - 1) / 2 - scale.log()).sum(-1)


def make_posterior(mean: Tensor, scale: Tensor) -> Distribution:
    return Independent(Normal(mean, scale), 1)


def make_registered_prior() -> Distribution:
    return Independent(Normal(torch.zeros(2), torch.ones(2)), 1)


def make_unregistered_prior() -> Distribution:
    """Make the same prior as a class for which torch registers no divergence from the posterior."""
    return MultivariateNormal(torch.zeros(2), torch.eye(2))


def test_a_divergence_in_closed_form_uses_no_sample() -> None:
    mean, scale = torch.randn(5, 2), torch.rand(5, 2) + 0.5
    z = torch.full((5, 2), math.nan)
    divergence = kl_divergence(make_posterior(mean, scale), make_registered_prior(), z)
    torch.testing.assert_close(divergence, divergence_of_normals(mean, scale))


def test_an_estimate_is_the_divergence_within_four_standard_errors() -> None:
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
    torch.testing.assert_close(kl_divergence(q, p, q.sample()), torch.zeros(10))  # a mixture of two equal components


def test_a_closed_form_of_other_distributions_than_normals_is_used_too() -> None:
    q, p = Gamma(torch.full((3,), 2.0), torch.tensor(1.0)), Gamma(torch.tensor(1.0), torch.tensor(1.0))
    expected = torch.digamma(torch.tensor(2.0)) - math.lgamma(2.0)  # KL(Gamma(a, 1) || Gamma(1, 1)), a = 2
    torch.testing.assert_close(kl_divergence(q, p, torch.full((3,), math.nan)), expected.expand(3))


def test_a_user_defined_distribution_is_called_as_a_module() -> None:
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


def test_a_reparameterized_sample_carries_the_gradient_of_the_parameters() -> None:
    mean = torch.zeros(5, 2, requires_grad=True)
    z = reparametrize(make_posterior(mean, torch.ones(5, 2)), "encoder", torch.Size([3]))
    assert z.shape == (3, 5, 2)
    (gradient,) = torch.autograd.grad(z.sum(), [mean])
    torch.testing.assert_close(gradient, torch.full((5, 2), 3.0))  # z = mean + noise, three times


def test_a_distribution_without_rsample_is_refused_with_the_name_of_its_part() -> None:
    with pytest.raises(TypeError, match=r"^`encoder` must return .* reparameterized \(`has_rsample`\), got Bernoulli"):
        reparametrize(Bernoulli(torch.full((5,), 0.5)), "encoder")


def test_the_mean_is_returned_unless_a_sample_is_requested() -> None:
    q = Normal(torch.arange(3.0), 1e-3)
    assert torch.equal(sample_or_mean(q, "sample_latents", False), torch.arange(3.0))
    sample = sample_or_mean(q, "sample_latents", True)
    assert not torch.equal(sample, torch.arange(3.0))
    torch.testing.assert_close(sample, torch.arange(3.0), atol=1e-2, rtol=0)  # ten standard deviations


def test_a_distribution_without_a_mean_names_the_option_to_set() -> None:
    q = TransformedDistribution(Normal(torch.zeros(3), 1.0), [ExpTransform()])
    assert sample_or_mean(q, "sample_latents", True).shape == (3,)
    with pytest.raises(
        TypeError, match=r"^`TransformedDistribution` has no mean: set `sample_latents` to True to sample\."
    ):
        sample_or_mean(q, "sample_latents", False)


def test_unexpected_shapes_are_refused_and_named_with_the_expected_ones() -> None:
    check_shapes("encoder", make_posterior(torch.zeros(5, 2), torch.ones(2)), torch.Size([5]), torch.Size([2]))
    with pytest.raises(
        ValueError, match=r"`encoder` .* \(5,\) and event shape \(2,\), got \(5, 2\) and \(\); use `torch"
    ):
        check_shapes("encoder", Normal(torch.zeros(5, 2), 1.0), torch.Size([5]), torch.Size([2]))


@pytest.mark.parametrize(
    ("event_dim", "batch_shape", "event_shape"), [(0, (4, 2, 3), ()), (1, (4, 2), (3,)), (2, (4,), (2, 3))]
)
def test_a_delta_has_all_its_mass_on_its_value(
    event_dim: int, batch_shape: tuple[int, ...], event_shape: tuple[int, ...]
) -> None:
    value = torch.randn(4, 2, 3)
    delta = Delta(value, event_dim)
    assert (delta.batch_shape, delta.event_shape) == (batch_shape, event_shape)
    assert torch.equal(delta.mean, value)
    assert torch.equal(delta.variance, torch.zeros(4, 2, 3))
    assert torch.equal(delta.sample(torch.Size([5])), value.expand(5, 4, 2, 3))
    assert torch.equal(delta.log_prob(value), torch.zeros(batch_shape))
    assert torch.equal(delta.log_prob(delta.sample(torch.Size([5]))), torch.zeros(5, *batch_shape))
    elsewhere = value.clone()
    elsewhere[..., 0] += 1  # one dimension of an event is enough
    assert delta.log_prob(elsewhere).isneginf().sum() == (8 if event_dim == 0 else delta.batch_shape.numel())


def test_the_gradient_goes_through_the_samples_of_a_delta() -> None:
    value = torch.randn(4, 3, requires_grad=True)
    assert Delta(value, 1).has_rsample
    (gradient,) = torch.autograd.grad(Delta(value, 1).rsample(torch.Size([2])).sum(), [value])
    torch.testing.assert_close(gradient, torch.full((4, 3), 2.0))
    assert not Delta(value, 1).sample().requires_grad
    assert not Delta(value, 1).log_prob(value).requires_grad


def test_the_values_of_a_delta_are_any_real_numbers() -> None:
    delta = Delta(torch.zeros(4, 3), 1)
    assert delta.support.check(torch.randn(4, 3)).shape == (4,)
    assert "Delta" in repr(delta)


def test_the_mean_is_returned_or_the_part_without_one_is_named() -> None:
    assert torch.equal(get_mean(Normal(torch.arange(3.0), 1.0), "encoder"), torch.arange(3.0))
    with pytest.raises(TypeError, match=r"^`encoder` must return a distribution that has a mean, got Transformed"):
        get_mean(TransformedDistribution(Normal(torch.zeros(3), 1.0), [ExpTransform()]), "encoder")


def test_the_distribution_of_each_independent_dimension_is_returned() -> None:
    mean, z = torch.randn(2, 4, 3)
    elementwise = get_elementwise(Independent(Normal(mean, 0.5), 1), "encoder")
    torch.testing.assert_close(elementwise.log_prob(z), Normal(mean, 0.5).log_prob(z))


@pytest.mark.parametrize(
    "distribution",
    [
        MultivariateNormal(torch.zeros(3, 2), torch.eye(2)),
        Independent(MultivariateNormal(torch.zeros(3, 2), torch.eye(2)), 1),
    ],
)
def test_dimensions_that_are_not_independent_are_refused(distribution: Distribution) -> None:
    with pytest.raises(TypeError, match="`encoder` must return a distribution with independent dimensions"):
        get_elementwise(distribution, "encoder")
