from collections.abc import Callable
from math import exp, log, sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, Normal

from frame_core import Model
from frame_models import MINE, NWJ, SMILE, InfoNCE
from frame_models.two_views.mutual_information import (
    compute_clipped_estimate,
    compute_contrastive_bound,
    compute_jensen_shannon_bound,
    compute_nwj_bound,
    split_pairs,
)

CORRELATION = 0.6
INFORMATION = -log(1 - CORRELATION**2) / 2
"""Mutual information of two standard normal variables with the correlation, in nats."""


class Quadratic(nn.Module):
    """Quadratic form of a pair, which the best critic of normal variables is."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(3))
        self.offset = nn.Parameter(torch.zeros(()))

    def forward(self, v_1: Tensor, v_2: Tensor) -> Tensor:
        terms = torch.stack(torch.broadcast_tensors(v_1 * v_2, v_1**2, v_2**2), -1).sum(-2)
        return terms @ self.weights + self.offset


class Table(nn.Module):
    """Scores of all pairs of a batch, without regard to the batch."""

    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.scores = nn.Parameter(scores)

    def forward(self, v_1: Tensor, v_2: Tensor) -> Tensor:
        return self.scores


def score(z_1: Tensor, z_2: Tensor) -> Tensor:
    """Compute log p(z1, z2) - log p(z1) p(z2) of standard normal variables with CORRELATION."""
    covariance = torch.tensor([[1.0, CORRELATION], [CORRELATION, 1.0]], dtype=z_1.dtype)
    joint = MultivariateNormal(torch.zeros(2, dtype=z_1.dtype), covariance).log_prob(torch.stack([z_1, z_2], -1))
    return joint - Normal(0.0, 1.0).log_prob(z_1) - Normal(0.0, 1.0).log_prob(z_2)


def draw_pairs(n_data: int) -> tuple[Tensor, Tensor]:
    z_1 = torch.randn(n_data)
    return z_1, CORRELATION * z_1 + sqrt(1 - CORRELATION**2) * torch.randn(n_data)


def jensen_shannon_divergence() -> Tensor:
    """Compute the divergence of p(z1, z2) and p(z1) p(z2), in nats, by the trapezoidal rule in both dimensions."""
    z = torch.linspace(-9, 9, 1001, dtype=torch.double)
    z_1, z_2 = torch.meshgrid(z, z, indexing="ij")
    product = Normal(0.0, 1.0).log_prob(z_1) + Normal(0.0, 1.0).log_prob(z_2)
    joint = product + score(z_1, z_2)
    mixture = torch.logaddexp(product, joint) - log(2)
    integrand = (joint.exp() * (joint - mixture) + product.exp() * (product - mixture)) / 2
    return torch.trapezoid(torch.trapezoid(integrand, z), z).float()


def test_the_best_critic_reaches_the_jensen_shannon_divergence() -> None:
    torch.manual_seed(0)
    bounds: list[Tensor] = []
    for _ in range(100):
        z_1, z_2 = draw_pairs(2000)
        bounds.append(compute_jensen_shannon_bound(score(z_1, z_2), score(z_1, torch.randn(2000))))
    estimates = torch.stack(bounds)
    expected = 2 * jensen_shannon_divergence() - 2 * log(2)
    assert (estimates.mean() - expected).abs() < 4 * estimates.std() / sqrt(len(estimates))


def test_the_best_critic_reaches_the_mutual_information() -> None:
    torch.manual_seed(0)
    bounds: list[Tensor] = []
    for _ in range(100):
        z_1, z_2 = draw_pairs(2000)
        bounds.append(compute_nwj_bound(score(z_1, z_2), score(z_1, torch.randn(2000))))
    estimates = torch.stack(bounds)
    assert (estimates.mean() - INFORMATION).abs() < 4 * estimates.std() / sqrt(len(estimates))


@pytest.mark.parametrize("factor", [0.3, 2.0])
def test_another_critic_has_a_lower_bound(factor: float) -> None:
    torch.manual_seed(0)
    z_1, z_2 = draw_pairs(200_000)
    best, best_of_others = score(z_1, z_2), score(z_1, torch.randn(200_000))
    for compute_bound in (compute_jensen_shannon_bound, compute_nwj_bound):
        assert compute_bound(factor * best, factor * best_of_others) < compute_bound(best, best_of_others) - 0.01


def test_the_best_critic_has_nothing_left_to_learn() -> None:
    torch.manual_seed(0)
    z_1, z_2 = draw_pairs(200_000)
    offset = torch.zeros((), requires_grad=True)
    best, best_of_others = score(z_1, z_2) + offset, score(z_1, torch.randn(200_000)) + offset
    (gradient,) = torch.autograd.grad(compute_jensen_shannon_bound(best, best_of_others), [offset])
    assert gradient.abs() < 4 * sqrt(2 * 0.25 / 200_000)  # of two means of probabilities


def make_batch(n_data: int) -> dict[str, Tensor]:
    v_1, v_2 = draw_pairs(n_data)
    return {"v1": v_1.unsqueeze(1), "v2": v_2.unsqueeze(1)}


def test_pairs_of_one_example_are_on_the_diagonal() -> None:
    scores = torch.arange(9.0).view(3, 3)
    same, others = split_pairs(scores)
    assert same.tolist() == [0, 4, 8]
    assert others.tolist() == [1, 2, 3, 5, 6, 7]


def test_the_contrastive_bound_is_that_of_the_paper_in_loops() -> None:
    torch.manual_seed(0)
    scores = torch.randn(5, 5, dtype=torch.float64)
    total = sum(log(exp(float(scores[i, i])) / (sum(exp(float(scores[i, j])) for j in range(5)) / 5)) for i in range(5))
    assert compute_contrastive_bound(scores).item() == pytest.approx(total / 5)


def test_the_contrastive_bound_is_at_most_the_log_of_the_batch_size() -> None:
    torch.testing.assert_close(compute_contrastive_bound(100 * torch.eye(7)), torch.tensor(log(7)))
    assert compute_contrastive_bound(5 * torch.randn(7, 7)) < log(7)


def test_the_contrastive_bound_of_the_best_critic_nears_the_information() -> None:
    torch.manual_seed(0)
    bounds: list[Tensor] = []
    for _ in range(50):
        v_1, v_2 = draw_pairs(200)
        bounds.append(compute_contrastive_bound(score(*torch.broadcast_tensors(v_1.unsqueeze(1), v_2))))
    estimates = torch.stack(bounds)
    # the bias falls as 1 / n
    assert (estimates.mean() - INFORMATION).abs() < 4 * estimates.std() / sqrt(len(estimates)) + 2 / 200


def test_the_clipped_estimate_of_the_best_critic_is_the_information() -> None:
    torch.manual_seed(0)
    v_1, v_2 = draw_pairs(200_000)
    best, best_of_others = score(v_1, v_2), score(v_1, torch.randn(200_000))
    error = sqrt(float(best.var() + best_of_others.exp().var()) / 200_000)
    assert (compute_clipped_estimate(best, best_of_others, clip=5.0) - INFORMATION).abs() < 4 * error


def test_density_ratios_are_clipped() -> None:
    scores, others = torch.tensor([7.0, 1.0]), torch.tensor([60.0, -60.0, 0.0])
    expected = 4 - log((exp(2) + exp(-2) + 1) / 3)
    torch.testing.assert_close(compute_clipped_estimate(scores, others, clip=2.0), torch.tensor(expected))


def test_mine_divides_its_gradient_by_a_moving_average() -> None:
    torch.manual_seed(0)
    decay, average, total = 0.7, 0.0, 0.0
    model = MINE(table := Table(torch.zeros(4, 4)), decay)
    for step in range(3):
        table.scores.data = torch.randn(4, 4)
        table.scores.grad = None
        model.compute_loss({"v1": torch.zeros(4, 1), "v2": torch.zeros(4, 1)}, step)["loss"].backward()
        exponentials = table.scores.detach().exp()
        others = ~torch.eye(4, dtype=torch.bool)
        average = decay * average + (1 - decay) * exponentials[others].mean()
        total = decay * total + (1 - decay)
        # minus the gradient of E[c] - E[exp c] / average (Belghazi et al., 2018, equation 12)
        expected = torch.where(others, exponentials / 12 / (average / total), -1 / 4)
        torch.testing.assert_close(table.scores.grad, expected)


def test_an_evaluation_leaves_the_moving_average() -> None:
    model = MINE(Quadratic()).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.compute_loss(make_batch(5), 0)
    torch.testing.assert_close(dict(model.state_dict()), before)


def test_the_estimate_of_mine_is_the_bound_of_donsker_and_varadhan() -> None:
    torch.manual_seed(0)
    scores = torch.randn(5, 5)
    estimate = MINE(Table(scores)).compute_loss(make_batch(5), 0)["mutual_information"]
    others = [exp(float(scores[i, j])) for i in range(5) for j in range(5) if i != j]
    assert estimate.item() == pytest.approx(float(scores.diagonal().mean()) - log(sum(others) / 20), rel=1e-5)


@pytest.mark.parametrize("estimator", [InfoNCE, NWJ, SMILE, MINE])
def test_a_trained_critic_estimates_the_information(estimator: Callable[[nn.Module], Model]) -> None:
    torch.manual_seed(0)
    model = estimator(Quadratic())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(200):
        optimizer.zero_grad()
        model.compute_loss(make_batch(64), step)["loss"].backward()
        optimizer.step()
    with torch.no_grad():
        estimates = [float(model.eval().compute_loss(make_batch(500), 0)["mutual_information"]) for _ in range(20)]
    assert sum(estimates) / 20 == pytest.approx(INFORMATION, rel=0.15)


@pytest.mark.parametrize("estimator", [InfoNCE, NWJ, SMILE, MINE])
def test_scores_that_are_not_of_all_pairs_are_refused(estimator: Callable[[nn.Module], Model]) -> None:
    with pytest.raises(ValueError, match=r"`critic` must .* of shape \(3, 3\), got \(4, 4\)"):
        estimator(Table(torch.zeros(4, 4))).compute_loss(make_batch(3), 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SMILE(Quadratic(), clip=0.0), r"`clip` must be positive and finite, got 0\.0"),
        (lambda: MINE(Quadratic(), decay=1.0), r"`decay` must be between 0 and 1, got 1\.0"),
        (lambda: MINE(Quadratic(), decay=float("nan")), "`decay` must be between 0 and 1, got nan"),
    ],
)
def test_a_bad_number_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
