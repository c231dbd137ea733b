from collections.abc import Callable
from math import log, sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from frame_core import Delta
from frame_core.testing import check_model
from frame_models import ImportanceWeightedAutoencoder, VariationalAutoencoder

X = torch.tensor([[-0.8], [1.5]])
"""The examples. With z ~ N(0, 1) and x | z ~ N(z, 1), x ~ N(0, 2) and z | x ~ N(x / 2, 1 / 2)."""


class StandardNormal(nn.Module):
    def forward(self) -> Distribution:
        return Independent(Normal(torch.zeros(1), 1.0), 1)


class Posterior(nn.Module):
    """q(z | x) = N(slope x, scale^2), which is exact by default."""

    def __init__(self, slope: float = 0.5, scale: float = sqrt(0.5)) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))
        self.log_scale = nn.Parameter(torch.tensor(log(scale)))

    def forward(self, x: Tensor) -> Distribution:
        return Independent(Normal(self.slope * x, self.log_scale.exp()), 1)


class Decoder(nn.Module):
    """x | z ~ N(z + shift, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(0.0))

    def forward(self, z: Tensor) -> Distribution:
        return Independent(Normal(z + self.shift, 1.0), 1)


class DeterministicEncoder(nn.Module):
    def forward(self, x: Tensor) -> Distribution:
        return Delta(x, 1)


class ElementwiseDecoder(nn.Module):
    def forward(self, z: Tensor) -> Distribution:
        return Normal(z, 1.0)


def make_model(
    posterior: nn.Module, n_samples: Any, gradient: str = "standard", decoder: nn.Module | None = None
) -> ImportanceWeightedAutoencoder:
    return ImportanceWeightedAutoencoder(posterior, decoder or Decoder(), StandardNormal(), n_samples, gradient)


def compute_gradient(model: ImportanceWeightedAutoencoder, x: Tensor, part: str) -> Tensor:
    """Return the gradient of the loss for the parameters of a part, as a vector."""
    parameters = list(model.get_submodule(part).parameters())
    return torch.stack(torch.autograd.grad(model.compute_loss({"x": x}, 0)["loss"], parameters))


def log_joint(x: Tensor, z: Tensor) -> Tensor:
    """Return log p(x, z), from the formula of the normal density."""
    return -log(2 * torch.pi) - z**2 / 2 - (x - z) ** 2 / 2


def integrate(slope: Tensor, log_scale: Tensor, compute: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
    """Return the mean over x of E[compute(x, z, log weights)] over two independent samples of q(z | x).

    The expectation over the standard normal noise of the two samples is a sum over a fine grid.
    """
    noise = torch.linspace(-7, 7, 281, dtype=torch.float64)
    mass = torch.softmax(-(noise**2) / 2, 0)
    pairs = torch.stack(torch.meshgrid(noise, noise, indexing="ij"))  # (sample, grid, grid)
    results: list[Tensor] = []
    for x in X.double().flatten():
        z = slope * x + log_scale.exp() * pairs
        log_q = -log(2 * torch.pi) / 2 - log_scale - ((z - slope * x) / log_scale.exp()) ** 2 / 2
        results.append((mass.outer(mass) * compute(x, z, log_joint(x, z) - log_q)).sum())
    return torch.stack(results).mean()


def compute_bound(x: Tensor, z: Tensor, log_weights: Tensor) -> Tensor:
    return log_weights.logsumexp(0) - log(2)


def get_exact_gradient(posterior: Posterior, gradient: str) -> Tensor:
    """Return the expected gradient of the loss with two samples, by integration."""
    slope, log_scale = (p.detach().double().requires_grad_() for p in (posterior.slope, posterior.log_scale))

    def compute_surrogate(x: Tensor, z: Tensor, log_weights: Tensor) -> Tensor:
        """Sticking the landing: sum of v_i log w_i, in which neither v_i nor the parameters of q have a gradient."""
        log_q = -(((z - slope.detach() * x) / log_scale.detach().exp()) ** 2) / 2
        return (log_weights.detach().softmax(0) * (log_joint(x, z) - log_q)).sum(0)

    compute = compute_surrogate if gradient == "STL" else compute_bound
    return -torch.stack(torch.autograd.grad(integrate(slope, log_scale, compute), [slope, log_scale]))


@pytest.mark.parametrize("gradient", ["standard", "STL", "DReG"])
@pytest.mark.parametrize("n_samples", [1, 7])
def test_the_bound_is_the_log_evidence_for_any_number_of_samples_if_the_posterior_is_exact(
    n_samples: int, gradient: str
) -> None:
    quantities = make_model(Posterior(), n_samples, gradient).compute_loss({"x": X}, 0)
    log_evidence = Normal(0.0, sqrt(2.0)).log_prob(X).mean()
    torch.testing.assert_close(-quantities["loss"], log_evidence)
    torch.testing.assert_close(quantities["elbo"], log_evidence)


def test_the_bound_of_two_samples_is_its_expectation_by_integration() -> None:
    torch.manual_seed(0)
    posterior = Posterior(0.2, 1.1)
    bounds = torch.stack(
        [-make_model(posterior, 2).compute_loss({"x": X.repeat(1000, 1)}, 0)["loss"].detach() for _ in range(50)]
    )
    slope, log_scale = posterior.slope.detach().double(), posterior.log_scale.detach().double()
    expected = integrate(slope, log_scale, compute_bound)
    assert (bounds.mean() - expected).abs() < 4 * bounds.std() / sqrt(len(bounds))


def test_more_samples_tighten_the_bound_up_to_the_log_evidence() -> None:
    torch.manual_seed(0)
    x = X.repeat(5000, 1)
    bounds = [-make_model(Posterior(0.2, 1.1), n).compute_loss({"x": x}, 0)["loss"].item() for n in (1, 5, 50)]
    log_evidence = Normal(0.0, sqrt(2.0)).log_prob(X).mean().item()
    assert bounds[0] < bounds[1] - 0.05
    assert bounds[1] < bounds[2] - 0.01
    assert bounds[2] == pytest.approx(log_evidence, abs=0.01)


def test_with_one_sample_the_loss_is_that_of_the_variational_autoencoder() -> None:
    posterior, decoder = Posterior(0.2, 1.1), Decoder()
    torch.manual_seed(1)
    loss = make_model(posterior, 1, decoder=decoder).compute_loss({"x": X}, 0)["loss"]
    torch.manual_seed(1)
    log_weights = VariationalAutoencoder(posterior, decoder, StandardNormal()).compute_log_weights({"x": X}, 1)
    torch.testing.assert_close(loss, -log_weights.mean())


@pytest.mark.parametrize("gradient", ["standard", "STL", "DReG"])
def test_the_gradient_for_the_encoder_has_the_expectation_by_integration(gradient: str) -> None:
    torch.manual_seed(0)
    posterior = Posterior(0.2, 1.1)
    model = make_model(posterior, 2, gradient)
    gradients = torch.stack([compute_gradient(model, X.repeat(1000, 1), "encoder") for _ in range(100)])
    expected = get_exact_gradient(posterior, gradient)
    assert ((gradients.mean(0) - expected).abs() < 4 * gradients.std(0) / sqrt(len(gradients))).all()
    biased = (get_exact_gradient(posterior, "STL") - get_exact_gradient(posterior, "standard")).abs()
    assert (biased > 20 * gradients.std(0) / sqrt(len(gradients))).any()  # the test can tell the two apart


def test_the_doubly_reparameterized_gradient_is_that_of_the_formula() -> None:
    posterior = Posterior(0.2, 1.1)
    model = make_model(posterior, 5, "DReG")
    torch.manual_seed(1)
    actual = compute_gradient(model, X, "encoder")
    torch.manual_seed(1)
    noise = torch.randn(5, 2, 1)
    slope, scale = posterior.slope.item(), posterior.log_scale.exp().item()
    z = slope * X + scale * noise
    log_q = -log(2 * torch.pi) / 2 - log(scale) - noise**2 / 2
    squares = (log_joint(X, z) - log_q).softmax(0) ** 2
    slopes = (X - 2 * z) + noise / scale  # of log p(x, z) - log q(z | x), with respect to z
    expected = -torch.stack(
        [(squares * slopes * X).sum(0).mean(), (squares * slopes * scale * noise).sum(0).mean()]
    )  # dz / d slope is x, and dz / d log_scale is scale · noise
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize(("gradient", "has_variance"), [("standard", True), ("STL", False), ("DReG", False)])
@pytest.mark.parametrize("n_samples", [1, 5])
def test_the_gradient_for_the_encoder_has_no_variance_at_the_exact_posterior_without_the_score(
    gradient: str, has_variance: bool, n_samples: int
) -> None:
    model = make_model(Posterior(), n_samples, gradient)
    gradients = torch.stack([compute_gradient(model, X, "encoder") for _ in range(10)])
    assert (gradients.abs().max() > 0.01) == has_variance
    if not has_variance:
        torch.testing.assert_close(gradients, torch.zeros(10, 2), rtol=0, atol=1e-5)


def test_the_gradient_for_the_decoder_does_not_depend_on_the_estimator() -> None:
    found: list[Tensor] = []
    for gradient in ("standard", "STL", "DReG"):
        torch.manual_seed(1)
        found.append(compute_gradient(make_model(Posterior(0.2, 1.1), 5, gradient), X, "decoder"))
    torch.testing.assert_close(found[1], found[0])
    torch.testing.assert_close(found[2], found[0])


@pytest.mark.parametrize("gradient", ["standard", "STL", "DReG"])
def test_the_model_satisfies_the_contract_with_each_estimator(gradient: str) -> None:
    check_model(make_model(Posterior(0.2, 1.1), 3, gradient), {"x": X})


@pytest.mark.parametrize(
    ("n_samples", "gradient", "error", "message"),
    [
        (0, "standard", ValueError, "`n_samples` must be positive, got 0"),
        (2.5, "standard", TypeError, r"`n_samples` must be an integer, got 2\.5"),
        (5, "dreg", ValueError, "`gradient` must be one of 'standard', 'STL', 'DReG', got 'dreg'"),
    ],
)
def test_bad_arguments_are_refused(n_samples: Any, gradient: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make_model(Posterior(), n_samples, gradient)


def test_an_encoder_without_a_density_is_refused() -> None:
    with pytest.raises(TypeError, match="An importance weight needs distributions with a density, and a `Delta`"):
        make_model(DeterministicEncoder(), 5).compute_loss({"x": X}, 0)


def test_a_decoder_that_would_broadcast_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`decoder` must .* batch shape \(10,\) and event shape \(1,\), got"):
        make_model(Posterior(), 5, decoder=ElementwiseDecoder()).compute_loss({"x": X}, 0)
