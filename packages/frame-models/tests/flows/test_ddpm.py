from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from frame_models import DenoisingDiffusion

MEANS, SCALES = torch.tensor([0.5, -1.0]), torch.tensor([0.3, 1.5])
"""The data are N(mean, scale^2) in each dimension."""


class StandardNormal(nn.Module):
    def __init__(self, n_dimensions: int = 2) -> None:
        super().__init__()
        self.n_dimensions = n_dimensions

    def forward(self) -> Distribution:
        return Independent(Normal(torch.zeros(self.n_dimensions), 1.0), 1)


class BestPredictor(nn.Module):
    """The mean of the noise given x_t, for normal data: cov(e, x_t) / var(x_t) (x_t - E x_t)."""

    def __init__(self, n_steps: int) -> None:
        super().__init__()
        beta = torch.linspace(1e-4, 0.02, n_steps, dtype=torch.float64)
        self.a = (1 - beta).cumprod(0).float()
        self.n_steps = n_steps

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        a = self.a[(t * self.n_steps).round().long() - 1].unsqueeze(-1)
        return (1 - a).sqrt() * (x - a.sqrt() * MEANS) / (a * SCALES**2 + 1 - a)


class RecordingPredictor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.noise = nn.Parameter(torch.tensor([0.5, -0.5]))
        self.calls: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        self.calls.append((x, t))
        return self.noise.expand(x.shape)


class WrongPredictor(nn.Module):
    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return x.sum(1)


def test_noise_is_added_step_by_step() -> None:
    """The moments of x_t given x_0 are those of t steps of q(x_t | x_{t-1})."""
    model = DenoisingDiffusion(RecordingPredictor(), StandardNormal(), n_steps=5, first_beta=0.1, last_beta=0.5)
    x_0 = torch.tensor([[2.0, -3.0]])
    factor, variance = 1.0, 0.0
    for t, beta in enumerate([0.1, 0.2, 0.3, 0.4, 0.5], start=1):
        factor, variance = sqrt(1 - beta) * factor, (1 - beta) * variance + beta
        mean = model.add_noise(x_0, torch.zeros(1, 2), torch.tensor([t]))
        torch.testing.assert_close(mean, factor * x_0)
        torch.testing.assert_close(
            model.add_noise(x_0, torch.ones(1, 2), torch.tensor([t])) - mean, sqrt(variance) * torch.ones(1, 2)
        )


def test_the_posterior_of_a_step_is_that_of_bayes() -> None:
    betas = [0.1, 0.2, 0.3, 0.4, 0.5]
    model = DenoisingDiffusion(RecordingPredictor(), StandardNormal(), n_steps=5, first_beta=0.1, last_beta=0.5)
    x_0, x_t = torch.tensor([[2.0, -3.0]]), torch.tensor([[-1.0, 0.5]])
    for t in range(2, 6):
        a_before = 1.0
        for beta in betas[: t - 1]:
            a_before *= 1 - beta
        # the product of N(x_{t-1}; sqrt(a_before) x_0, 1 - a_before) and N(x_t; sqrt(1 - beta) x_{t-1}, beta)
        beta = betas[t - 1]
        precision = 1 / (1 - a_before) + (1 - beta) / beta
        expected = (sqrt(a_before) * x_0 / (1 - a_before) + sqrt(1 - beta) * x_t / beta) / precision
        mean, variance = model.compute_posterior(x_0, x_t, t)
        torch.testing.assert_close(mean, expected)
        torch.testing.assert_close(variance, torch.tensor(1 / precision))


def test_the_first_step_of_the_chain_is_reversed_without_noise() -> None:
    model = DenoisingDiffusion(RecordingPredictor(), StandardNormal())
    mean, variance = model.compute_posterior(torch.tensor([2.0]), torch.tensor([5.0]), 1)
    torch.testing.assert_close(mean, torch.tensor([2.0]), atol=0.01, rtol=0)  # 1 - a_1 = 1e-4 in single precision
    assert variance == 0


def test_the_network_is_asked_for_the_noise_in_noisy_data() -> None:
    predictor = RecordingPredictor()
    model = DenoisingDiffusion(predictor, StandardNormal(), n_steps=4, first_beta=0.1, last_beta=0.4)
    x_0 = torch.randn(5, 2)
    torch.manual_seed(1)
    loss = model.compute_loss({"x": x_0}, 0)["loss"]
    torch.manual_seed(1)
    t, noise = torch.randint(1, 5, (5,)), torch.randn(5, 2)
    ((x_t, time),) = predictor.calls
    torch.testing.assert_close(time, t / 4)
    torch.testing.assert_close(x_t, model.add_noise(x_0, noise, t))
    torch.testing.assert_close(loss, sum((predictor.noise - noise[i]).square().sum() for i in range(5)) / 5)


def test_the_gradient_of_the_loss_vanishes_at_the_mean_noise() -> None:
    torch.manual_seed(0)
    offset = torch.zeros(2, requires_grad=True)

    class Shifted(BestPredictor):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return super().forward(x, t) + offset * x

    model = DenoisingDiffusion(Shifted(1000), StandardNormal())
    gradients = torch.stack(
        [
            torch.autograd.grad(model.compute_loss({"x": MEANS + SCALES * torch.randn(500, 2)}, 0)["loss"], [offset])[0]
            for _ in range(50)
        ]
    )
    assert (gradients.mean(0).abs() < 4 * gradients.std(0) / sqrt(50)).all()


def test_samples_with_the_best_predictor_have_the_moments_of_the_data() -> None:
    torch.manual_seed(0)
    n = 4000
    x = DenoisingDiffusion(BestPredictor(1000), StandardNormal()).sample(torch.Size([n]))
    # the variance of a reverse step lacks that of x_0 given x_t, which costs less than 2 % of the scale
    assert ((x.mean(0) - MEANS).abs() < 4 * SCALES / sqrt(n)).all()
    assert ((x.std(0) - SCALES).abs() < 4 * SCALES / sqrt(2 * n) + 0.02 * SCALES).all()
    assert torch.corrcoef(x.T)[0, 1].abs() < 4 / sqrt(n)


def test_samples_follow_the_algorithm_of_the_paper() -> None:
    """x_{t-1} = (x_t - beta_t / sqrt(1 - a_t) e) / sqrt(1 - beta_t) + sigma_t z (algorithm 2)."""
    predictor = RecordingPredictor()
    model = DenoisingDiffusion(predictor, StandardNormal(), n_steps=3, first_beta=0.1, last_beta=0.3)
    torch.manual_seed(1)
    x = model.sample(torch.Size([4])).detach()
    torch.manual_seed(1)
    expected = torch.randn(4, 2)
    a = [1.0, 0.9, 0.9 * 0.8, 0.9 * 0.8 * 0.7]
    for t, beta in ((3, 0.3), (2, 0.2), (1, 0.1)):
        mean = (expected - beta / sqrt(1 - a[t]) * predictor.noise.detach()) / sqrt(1 - beta)
        expected = mean + sqrt((1 - a[t - 1]) / (1 - a[t]) * beta) * torch.randn(4, 2)
    torch.testing.assert_close(x, expected)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (DenoisingDiffusion(WrongPredictor(), StandardNormal()), r"`noise_predictor` must .* \(4, 2\), got \(4,\)"),
        (DenoisingDiffusion(RecordingPredictor(), StandardNormal(3)), r"`source` must .* \(2,\), got \(\) and \(3,\)"),
    ],
    ids=["noise predictor", "source"],
)
def test_outputs_of_a_wrong_shape_are_refused(model: DenoisingDiffusion, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.compute_loss({"x": torch.randn(4, 2)}, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_steps": 1}, "`n_steps` must be at least 2, got 1"),
        ({"first_beta": 0.0}, r"got 0\.0 and 0\.02"),
        ({"first_beta": 0.1}, r"got 0\.1 and 0\.02"),
        ({"last_beta": 1.0}, r"got 0\.0001 and 1\.0"),
    ],
)
def test_a_bad_schedule_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DenoisingDiffusion(RecordingPredictor(), StandardNormal(), **options)
