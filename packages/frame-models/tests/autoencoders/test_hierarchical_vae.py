from math import sqrt

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from frame_core import Delta
from frame_models import HierarchicalVariationalAutoencoder


class Linear(nn.Module):
    """N(slope * condition, scale^2) in one dimension."""

    def __init__(self, slope: float, scale: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))
        self.scale = scale

    def forward(self, condition: Tensor) -> Distribution:
        return Independent(Normal(self.slope * condition, self.scale), 1)


class StandardNormal(nn.Module):
    def __init__(self, n_dims: int = 1) -> None:
        super().__init__()
        self.n_dims = n_dims

    def forward(self) -> Distribution:
        return Independent(Normal(torch.zeros(self.n_dims), 1.0), 1)


class Deterministic(nn.Module):
    def forward(self, condition: Tensor) -> Distribution:
        return Delta(condition, 1)


def make_model(**parts: nn.Module) -> HierarchicalVariationalAutoencoder:
    """Make u ~ N(0, 1), z | u ~ N(u, 1), x | z ~ N(z, 1) with exact posteriors; z ~ N(0, 2) and x ~ N(0, 3)."""
    exact: dict[str, nn.Module] = {
        "encoder": Linear(2 / 3, sqrt(2 / 3)),  # 1 / variance = 1 / 2 + 1
        "decoder": Linear(1.0, 1.0),
        "upper_encoder": Linear(0.5, sqrt(0.5)),
        "upper_decoder": Linear(1.0, 1.0),
        "prior": StandardNormal(),
    }
    return HierarchicalVariationalAutoencoder(**{**exact, **parts})


def test_the_bound_and_every_weight_are_the_log_evidence_if_the_posteriors_are_exact() -> None:
    model, x = make_model(), torch.randn(16, 1)
    expected = Normal(0.0, sqrt(3)).log_prob(x).squeeze(1)
    terms = model.compute_loss_components({"x": x})
    torch.testing.assert_close(-(terms["reconstruction"] + terms["regularization"]), expected.mean())
    torch.testing.assert_close(model.compute_log_weights({"x": x}, 5), expected.expand(5, 16))


@pytest.mark.parametrize(
    ("part", "gap"),
    [
        # KL of normal distributions of one variance s^2: shift^2 / (2 s^2), where the shift is 0.3 times the condition
        ("encoder", 0.09 * 3 / (2 * 2 / 3)),  # x^2 = 3 on average
        ("upper_encoder", 0.09 * 2 / (2 * 1 / 2)),  # z^2 = 2 on average
    ],
)
def test_the_bound_misses_the_log_evidence_by_the_divergence_of_a_wrong_posterior(part: str, gap: float) -> None:
    torch.manual_seed(0)
    slope, scale = {"encoder": (2 / 3, sqrt(2 / 3)), "upper_encoder": (0.5, sqrt(0.5))}[part]
    model, x = make_model(**{part: Linear(slope + 0.3, scale)}), sqrt(3) * torch.randn(200_000, 1)
    weights = model.compute_log_weights({"x": x}, 1) - Normal(0.0, sqrt(3)).log_prob(x).squeeze(1)
    assert (-weights.mean() - gap).abs() < 4 * weights.std() / sqrt(len(x))


def test_samples_follow_the_evidence() -> None:
    torch.manual_seed(0)
    x = make_model().sample(torch.Size([100_000]), sample_output=True)
    assert (x.var() - 3).abs() < 4 * 3 * sqrt(2 / 100_000)


def test_beta_weights_the_regularization() -> None:
    model = make_model(encoder=Linear(0.1, 1.0))
    model.beta = 0.3
    quantities = model.compute_loss({"x": torch.randn(4, 1)}, 0)
    expected = quantities["reconstruction"] + 0.3 * quantities["regularization"]
    torch.testing.assert_close(quantities["loss"].detach(), expected)


@pytest.mark.parametrize("part", ["encoder", "upper_encoder"])
def test_a_deterministic_posterior_is_refused(part: str) -> None:
    with pytest.raises(TypeError, match="The lower bound needs distributions with a density"):
        make_model(**{part: Deterministic()}).compute_loss({"x": torch.randn(4, 1)}, 0)


@pytest.mark.parametrize("part", ["upper_decoder", "decoder"])
def test_a_likelihood_of_another_shape_is_refused(part: str) -> None:
    class Wide(nn.Module):
        def forward(self, condition: Tensor) -> Distribution:
            return Independent(Normal(condition.repeat(1, 2), 1.0), 1)

    with pytest.raises(ValueError, match=rf"`{part}` must .* event shape \(1,\), got \(4,\) and \(2,\)"):
        make_model(**{part: Wide()}).compute_loss({"x": torch.randn(4, 1)}, 0)


def test_a_prior_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`prior` must .* event shape \(1,\), got \(\) and \(2,\)"):
        make_model(prior=StandardNormal(2)).compute_loss({"x": torch.randn(4, 1)}, 0)
