from itertools import permutations
from math import exp, sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from frame_core import Model
from frame_models import FlowMatching, GuidedFlowMatching
from frame_models.couplings import OptimalTransport
from frame_models.solvers import DormandPrince, Euler, Heun

MEANS, SCALES = torch.tensor([3.0, -1.0]), torch.tensor([0.5, 2.0])
"""The data are N(mean, scale^2) in each dimension, and the source is N(0, 1)."""


class StandardNormal(nn.Module):
    def forward(self) -> Distribution:
        return Independent(Normal(torch.zeros(2), 1.0), 1)


class Shape(nn.Module):
    """A source of another shape."""

    def forward(self) -> Distribution:
        return Independent(Normal(torch.zeros(3), 1.0), 1)


class ExactField(nn.Module):
    """The mean velocity of independent lines from N(0, 1) to N(m, s^2): E[x_1 - x_0 | x_t].

    x_t has variance (1 - t)^2 + t^2 s^2 and covariance t s^2 - (1 - t) with x_1 - x_0.
    """

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        t = t.unsqueeze(-1)
        variance = (1 - t) ** 2 + t**2 * SCALES**2
        return MEANS + (t * SCALES**2 - (1 - t)) / variance * (x - t * MEANS)


class RecordingField(nn.Module):
    """Returns a constant velocity, and stores what it was called with."""

    def __init__(self) -> None:
        super().__init__()
        self.velocity = nn.Parameter(torch.tensor([0.5, -0.5]))
        self.calls: list[tuple[Tensor, ...]] = []

    def forward(self, x: Tensor, t: Tensor, *labels: Tensor) -> Tensor:
        self.calls.append((x, t, *labels))
        return self.velocity.expand(x.shape)


class LabelField(nn.Module):
    """A constant velocity for each of two labels, and for none."""

    def __init__(self) -> None:
        super().__init__()
        self.velocities = nn.Parameter(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]))

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        return self.velocities[y]


class WrongField(nn.Module):
    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return x.sum(1)


def sample_data(n_data: int) -> Tensor:
    return MEANS + SCALES * torch.randn(n_data, 2)


# The loss


def test_the_target_is_the_velocity_of_a_straight_line_and_the_field_is_read_on_the_line() -> None:
    field = RecordingField()
    x_1 = torch.randn(5, 2)
    torch.manual_seed(1)
    loss = FlowMatching(field, StandardNormal()).compute_loss({"x": x_1}, 0)["loss"]
    torch.manual_seed(1)
    x_0, t = StandardNormal()().sample(torch.Size([5])), torch.rand(5)
    ((x_t, time),) = field.calls
    torch.testing.assert_close(time, t)
    for i in range(5):
        torch.testing.assert_close(x_t[i], (1 - t[i]) * x_0[i] + t[i] * x_1[i])
    torch.testing.assert_close(loss, sum((field.velocity - (x_1[i] - x_0[i])).square().sum() for i in range(5)) / 5)


def test_the_gradient_of_the_loss_vanishes_at_the_mean_velocity() -> None:
    torch.manual_seed(0)
    offset = torch.zeros(2, requires_grad=True)

    class Shifted(ExactField):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return super().forward(x, t) + offset * x

    model = FlowMatching(Shifted(), StandardNormal())
    gradients = torch.stack(
        [torch.autograd.grad(model.compute_loss({"x": sample_data(1000)}, 0)["loss"], [offset])[0] for _ in range(50)]
    )
    assert (gradients.mean(0).abs() < 4 * gradients.std(0) / sqrt(50)).all()


def test_samples_of_the_exact_field_follow_the_data() -> None:
    torch.manual_seed(0)
    x = FlowMatching(ExactField(), StandardNormal()).sample(torch.Size([20_000]))
    assert ((x.mean(0) - MEANS).abs() < 4 * SCALES / sqrt(20_000) + 1e-3).all()  # 50 steps of Heun miss it by less
    assert ((x.std(0) - SCALES).abs() < 4 * SCALES / sqrt(2 * 20_000) + 1e-3).all()


def test_a_coupling_permutes_the_source() -> None:
    field, x_1 = RecordingField(), torch.randn(6, 2)
    torch.manual_seed(1)
    FlowMatching(field, StandardNormal(), coupling=lambda x_0, x_1: torch.arange(6).roll(1)).compute_loss({"x": x_1}, 0)
    torch.manual_seed(1)
    x_0, t = StandardNormal()().sample(torch.Size([6])).roll(1, 0), torch.rand(6).unsqueeze(1)
    torch.testing.assert_close(field.calls[0][0], (1 - t) * x_0 + t * x_1)


def test_a_trained_flow_is_close_to_the_data() -> None:
    torch.manual_seed(0)

    class Field(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = nn.Sequential(nn.Linear(3, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))

        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return self.network(torch.cat([x, t.unsqueeze(-1)], -1))

    model = FlowMatching(Field(), StandardNormal(), coupling=OptimalTransport(), solver=Heun(10))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

    def make_data(n_data: int) -> Tensor:  # a parabola
        u = 4 * torch.rand(n_data, 1) - 2
        return torch.cat([u, u**2 - 1], 1) + 0.1 * torch.randn(n_data, 2)

    for step in range(200):
        optimizer.zero_grad()
        model.compute_loss({"x": make_data(128)}, step)["loss"].backward()
        optimizer.step()
    with torch.no_grad():
        x, data, others = model.sample(torch.Size([500])), make_data(500), make_data(500)
    floor = (data - others[OptimalTransport()(others, data)]).square().sum(1).mean()
    distance = (data - x[OptimalTransport()(x, data)]).square().sum(1).mean()  # squared, 2-Wasserstein
    assert distance < floor + 0.1
    source = StandardNormal()().sample(torch.Size([500]))
    assert (data - source[OptimalTransport()(source, data)]).square().sum(1).mean() > floor + 0.5


# Couplings


def test_optimal_transport_is_the_best_of_all_permutations() -> None:
    torch.manual_seed(0)
    for _ in range(5):
        x_0, x_1 = torch.randn(2, 6, 2, 3)

        def cost(order: Any, x_0: Tensor = x_0, x_1: Tensor = x_1) -> float:
            return float((x_0[list(order)] - x_1).square().sum())

        indices = OptimalTransport()(x_0, x_1)
        assert cost(indices.tolist()) == pytest.approx(min(cost(order) for order in permutations(range(6))))


# Solvers


@pytest.mark.parametrize(
    ("solver", "expected"),
    [(Euler(4), 1.25**4), (Heun(4), (1 + 0.25 + 0.25**2 / 2) ** 4), (DormandPrince(1e-8), exp(1.0))],
    ids=["Euler", "Heun", "DormandPrince"],
)
def test_a_solver_of_exponential_growth_is_its_formula(solver: Any, expected: float) -> None:
    x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    torch.testing.assert_close(solver(lambda t, x: x, x), expected * x, rtol=1e-7, atol=0)


@pytest.mark.parametrize(("solver", "order"), [(Euler, 1), (Heun, 2)])
def test_twice_the_steps_reduce_the_error_by_the_order_of_the_solver(solver: Any, order: int) -> None:
    def compute_error(n_steps: int) -> float:  # dx/dt = t x has the solution exp(1 / 2) at time 1
        x = solver(n_steps)(lambda t, x: t * x, torch.ones(1, dtype=torch.float64))
        return abs(x.item() - exp(0.5))

    assert compute_error(64) / compute_error(128) == pytest.approx(2**order, rel=0.05)


# Labels and guidance


def test_a_label_is_dropped_with_the_given_probability() -> None:
    torch.manual_seed(0)
    for probability in (0.0, 0.3, 1.0):
        field = RecordingField()
        model = GuidedFlowMatching(field, StandardNormal(), n_labels=7, label_dropout=probability)
        y = torch.arange(7).repeat(1000)
        model.compute_loss({"x": torch.zeros(7000, 2), "y": y}, 0)
        labels = field.calls[0][2]
        assert torch.equal(labels[labels < 7], y[labels < 7])
        frequency = (labels == 7).float().mean().item()
        assert frequency == pytest.approx(probability, abs=4 * sqrt(probability * (1 - probability) / 7000))


@pytest.mark.parametrize(
    ("guidance", "velocity"), [(1.0, [1.0, 0.0]), (0.0, [-1.0, -1.0]), (3.0, [5.0, 2.0])], ids=["label", "none", "more"]
)
def test_guidance_extrapolates_from_the_velocity_without_a_label(guidance: float, velocity: list[float]) -> None:
    model = GuidedFlowMatching(LabelField(), StandardNormal(), n_labels=2, guidance=guidance, solver=Euler(5))
    torch.manual_seed(1)
    x = model.sample(torch.Size([3]), y=torch.tensor([0, 0, 1, 1])).detach()
    torch.manual_seed(1)
    start = StandardNormal()().sample(torch.Size([3, 4]))
    torch.testing.assert_close(x[:, :2] - start[:, :2], torch.tensor(velocity).expand(3, 2, 2))


def test_the_velocity_without_a_label_is_not_computed_where_it_is_not_needed() -> None:
    field = RecordingField()
    GuidedFlowMatching(field, StandardNormal(), n_labels=2, solver=Euler(5)).sample(y=torch.tensor([0, 1]))
    assert len(field.calls) == 5


# Mistakes


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (FlowMatching(WrongField(), StandardNormal()), r"`vector_field` must .* \(4, 2\), got \(4,\)"),
        (FlowMatching(RecordingField(), Shape()), r"`source` must .* event shape \(2,\), got \(\) and \(3,\)"),
    ],
    ids=["vector field", "source"],
)
def test_outputs_of_a_wrong_shape_are_refused(model: Model, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.compute_loss({"x": torch.randn(4, 2)}, 0)


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_a_probability_outside_of_0_and_1_is_refused(probability: float) -> None:
    with pytest.raises(ValueError, match="`label_dropout` must be between 0 and 1"):
        GuidedFlowMatching(LabelField(), StandardNormal(), n_labels=2, label_dropout=probability)


@pytest.mark.parametrize("solver", [Euler, Heun])
def test_a_solver_without_steps_is_refused(solver: Any) -> None:
    with pytest.raises(ValueError, match="`n_steps` must be positive, got 0"):
        solver(0)
