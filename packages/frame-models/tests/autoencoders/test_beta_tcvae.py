from math import log

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal

from frame_models import BetaTCVAE, VariationalAutoencoder
from frame_models.autoencoders.beta_tcvae import compute_total_correlation

SCALE = 0.5


class Prior(nn.Module):
    def forward(self) -> Distribution:
        return Independent(Normal(torch.zeros(2), 1.0), 1)


class Noisy(nn.Module):
    """Adds noise to each dimension. The scale is trainable."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(SCALE).log())

    def forward(self, value: Tensor) -> Distribution:
        return Independent(Normal(value, self.log_scale.exp()), 1)


class Correlated(nn.Module):
    def forward(self, x: Tensor) -> Distribution:
        return MultivariateNormal(x, torch.tensor([[1.0, 0.5], [0.5, 1.0]]))


def make_model(beta: float) -> BetaTCVAE:
    return BetaTCVAE(Noisy(), Noisy(), Prior(), beta)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_the_total_correlation_of_a_normal_aggregate_is_its_closed_form(correlation: float) -> None:
    torch.manual_seed(0)
    covariance = torch.tensor([[1.0, correlation], [correlation, 1.0]])
    x = MultivariateNormal(torch.zeros(2), covariance).sample(torch.Size([1500]))
    q_z = Noisy()(x)
    estimate = compute_total_correlation(q_z, q_z.sample())
    of_z = correlation / (1 + SCALE**2)  # z = x + noise
    # over seeds, the estimate has a standard deviation below 0.03; its bias is below 0.01 at this size of the batch
    assert estimate.item() == pytest.approx(-0.5 * log(1 - of_z**2), abs=0.05)


def test_the_estimator_is_that_of_the_paper_up_to_its_constant() -> None:
    torch.manual_seed(0)
    mean, z, n_examples = torch.randn(3, 2), torch.randn(3, 2), 50
    expected = 0.0
    for i in range(3):  # equation S4 of Chen et al., term by term
        densities = torch.stack([Normal(mean[j], SCALE).log_prob(z[i]).exp() for j in range(3)])  # (j, dimension)
        joint = densities.prod(1).sum() / (n_examples * 3)
        marginals = densities.sum(0) / (n_examples * 3)
        expected += (joint.log() - marginals.log().sum()).item() / 3
    estimate = compute_total_correlation(Independent(Normal(mean, SCALE), 1), z)
    assert estimate.item() == pytest.approx(expected - log(n_examples), rel=1e-4)  # (z_dim - 1) log N


def test_beta_weights_the_total_correlation_alone() -> None:
    x = torch.randn(16, 2)
    for beta in (0.0, 1.0, 5.0):
        quantities = make_model(beta).compute_loss({"x": x}, 0)
        assert list(quantities) == ["loss", "reconstruction", "regularization", "total_correlation"]
        bound = quantities["reconstruction"] + quantities["regularization"]
        torch.testing.assert_close(quantities["loss"].detach(), bound + (beta - 1) * quantities["total_correlation"])


def test_at_a_weight_of_one_the_loss_is_that_of_a_variational_autoencoder() -> None:
    x = {"x": torch.randn(16, 2)}
    losses: list[Tensor] = []
    for model in (make_model(1.0), VariationalAutoencoder(Noisy(), Noisy(), Prior())):
        torch.manual_seed(0)
        losses.append(model.compute_loss(x, 0)["loss"].detach())
    torch.testing.assert_close(*losses)


def test_a_posterior_with_correlated_dimensions_is_refused() -> None:
    model = BetaTCVAE(Correlated(), Noisy(), Prior(), beta=2.0)
    with pytest.raises(
        TypeError, match=r"`encoder` must return a distribution with independent dimensions .*Multivariate"
    ):
        model.compute_loss({"x": torch.randn(4, 2)}, 0)


def test_a_negative_beta_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^`beta` must be non-negative, got -1.0\.$"):
        make_model(-1.0)
