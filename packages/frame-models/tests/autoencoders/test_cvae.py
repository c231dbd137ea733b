from math import sqrt

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal

from frame_core import LinearWarmup, encode_batch
from frame_models import ConditionalVariationalAutoencoder

WEIGHTS = torch.tensor([[[1.0, 0.5], [-0.3, 2.0], [0.7, -0.4]], [[-1.0, 0.2], [0.1, 0.6], [1.5, 0.3]]])
"""For each label, the matrix W of x | z, y ~ N(Wz + b, s^2)."""

BIASES = torch.tensor([[0.5, -1.0, 0.2], [3.0, 2.0, -4.0]])
NOISE = 0.6


class StandardNormal(nn.Module):
    def forward(self) -> Distribution:
        return Independent(Normal(torch.zeros(2), 1.0), 1)


class LinearDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(WEIGHTS.clone())

    def forward(self, z: Tensor, y: Tensor) -> Distribution:
        return Independent(Normal((self.weights[y] @ z.unsqueeze(-1)).squeeze(-1) + BIASES[y], NOISE), 1)


class ExactPosterior(nn.Module):
    """z | x, y ~ N(S W^T (x - b) / s^2, S) with S = (1 + W^T W / s^2)^-1 (Bishop, 2006, equation 2.116)."""

    def forward(self, x: Tensor, y: Tensor) -> Distribution:
        weight = WEIGHTS[y]
        covariance = torch.linalg.inv(torch.eye(2) + weight.mT @ weight / NOISE**2)
        mean = covariance @ weight.mT @ (x - BIASES[y]).unsqueeze(-1) / NOISE**2
        return MultivariateNormal(mean.squeeze(-1), covariance)


class ElementwiseDecoder(nn.Module):
    def forward(self, z: Tensor, y: Tensor) -> Distribution:
        return Normal(torch.zeros(len(z), 3), 1.0)


def get_evidence(y: Tensor) -> Distribution:
    """Return the distribution x | y ~ N(b, W W^T + s^2)."""
    return MultivariateNormal(BIASES[y], WEIGHTS[y] @ WEIGHTS[y].mT + NOISE**2 * torch.eye(3))


def make_batch(n_data: int = 16) -> dict[str, Tensor]:
    return {"x": torch.randn(n_data, 3), "y": torch.arange(n_data) % 2}


def make_model() -> ConditionalVariationalAutoencoder:
    return ConditionalVariationalAutoencoder(ExactPosterior(), LinearDecoder(), StandardNormal())


def test_the_lower_bound_is_the_log_evidence_given_the_label_if_the_posterior_is_exact() -> None:
    batch = make_batch()
    terms = make_model().compute_loss_components(batch)
    expected = get_evidence(batch["y"]).log_prob(batch["x"]).mean()
    torch.testing.assert_close(-(terms["reconstruction"] + terms["regularization"]), expected)


def test_every_weight_is_the_evidence_given_the_label_if_the_posterior_is_exact() -> None:
    batch = make_batch()
    expected = get_evidence(batch["y"]).log_prob(batch["x"]).expand(7, 16)
    torch.testing.assert_close(make_model().compute_log_weights(batch, 7), expected, rtol=1e-5, atol=1e-4)  # float32


def test_the_loss_is_the_reconstruction_and_beta_times_the_regularization() -> None:
    model = ConditionalVariationalAutoencoder(
        ExactPosterior(), LinearDecoder(), StandardNormal(), beta=LinearWarmup(0.0, 1.0, over="5 epochs")
    )
    model.get_submodule("beta").advance_to(0.25)
    quantities = model.compute_loss(make_batch(), 0)
    expected = quantities["reconstruction"] + 0.25 * quantities["regularization"]
    torch.testing.assert_close(quantities["loss"].detach(), expected)


def test_the_representation_depends_on_the_label() -> None:
    batch = make_batch()
    expected = ExactPosterior()(batch["x"], batch["y"]).mean
    torch.testing.assert_close(encode_batch(make_model(), batch).mean, expected)


def test_a_reconstruction_is_the_mean_given_the_label_and_the_mean_representation() -> None:
    batch = make_batch()
    expected = LinearDecoder()(ExactPosterior()(batch["x"], batch["y"]).mean, batch["y"]).mean
    torch.testing.assert_close(make_model().reconstruct(batch), expected)


def test_samples_follow_the_evidence_given_their_label() -> None:
    torch.manual_seed(0)
    n_samples = 100_000
    x = make_model().sample(torch.Size([n_samples]), sample_output=True, y=torch.tensor([0, 1])).detach()
    for y in (0, 1):
        covariance = WEIGHTS[y] @ WEIGHTS[y].T + NOISE**2 * torch.eye(3)
        variance = covariance.diagonal()
        assert ((x[:, y].mean(0) - BIASES[y]).abs() < 4 * (variance / n_samples).sqrt()).all()
        standard_error = ((variance.outer(variance) + covariance**2) / n_samples).sqrt()
        assert ((x[:, y].T.cov() - covariance).abs() < 4 * standard_error).all()


def test_the_weights_are_one_over_the_evidence_away_from_one_on_average() -> None:
    torch.manual_seed(0)
    model = make_model()
    model.encoder = WidePosterior()
    batch = make_batch(2)
    ratios = (model.compute_log_weights(batch, 100_000) - get_evidence(batch["y"]).log_prob(batch["x"])).exp().detach()
    assert ((ratios.mean(0) - 1).abs() < 4 * ratios.std(0) / sqrt(100_000)).all()


class WidePosterior(nn.Module):
    """The exact posterior with twice its covariance."""

    def forward(self, x: Tensor, y: Tensor) -> Distribution:
        exact = ExactPosterior()(x, y)
        assert isinstance(exact, MultivariateNormal)
        return MultivariateNormal(exact.loc, 2 * exact.covariance_matrix)


def test_a_decoder_that_would_broadcast_is_refused() -> None:
    model = ConditionalVariationalAutoencoder(ExactPosterior(), ElementwiseDecoder(), StandardNormal())
    with pytest.raises(ValueError, match=r"`decoder` must .* batch shape \(16,\) and event shape \(3,\), got"):
        model.compute_loss(make_batch(), 0)


def test_a_negative_beta_is_refused() -> None:
    with pytest.raises(ValueError, match="`beta` must be non-negative"):
        ConditionalVariationalAutoencoder(ExactPosterior(), LinearDecoder(), StandardNormal(), beta=-1.0)
