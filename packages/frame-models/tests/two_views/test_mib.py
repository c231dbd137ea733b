from math import exp, log, nan, sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, MultivariateNormal, Normal

from frame_core import LinearWarmup
from frame_core.testing import check_model
from frame_models import MultiViewInformationBottleneck
from frame_models.two_views.mib import compute_symmetrised_divergence

V1_DIM, V2_DIM, Z_DIM = 4, 5, 2


class Encoder(nn.Module):
    def __init__(self, n_inputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_inputs, 2 * Z_DIM)

    def forward(self, v: Tensor) -> Distribution:
        mean, log_scale = self.linear(v).chunk(2, dim=-1)
        return Independent(Normal(mean, log_scale.exp()), 1)


class ElementwiseEncoder(nn.Module):
    def forward(self, v: Tensor) -> Distribution:
        return Normal(v[:, :Z_DIM], 1.0)


class DiscreteEncoder(nn.Module):
    def forward(self, v: Tensor) -> Distribution:
        return Independent(Bernoulli(logits=v[:, :Z_DIM]), 1)


class Critic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bilinear = nn.Bilinear(Z_DIM, Z_DIM, 1)

    def forward(self, z_1: Tensor, z_2: Tensor) -> Tensor:
        return self.bilinear(z_1, z_2).squeeze(-1)


class RecordingCritic(nn.Module):
    """Returns zeros, and stores the pairs it was called with."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[tuple[Tensor, Tensor]] = []

    def forward(self, z_1: Tensor, z_2: Tensor) -> Tensor:
        self.pairs.append((z_1, z_2))
        return torch.zeros(len(z_1))


class ColumnCritic(Critic):
    def forward(self, z_1: Tensor, z_2: Tensor) -> Tensor:
        return super().forward(z_1, z_2).unsqueeze(-1)


def make_model(beta: Any = 0.1, critic: nn.Module | None = None) -> MultiViewInformationBottleneck:
    return MultiViewInformationBottleneck(Encoder(V1_DIM), Encoder(V2_DIM), critic or Critic(), beta)


def make_batch(n_data: int = 8) -> dict[str, Tensor]:
    return {"v1": torch.randn(n_data, V1_DIM), "v2": torch.randn(n_data, V2_DIM)}


def test_a_constant_critic_estimates_no_information() -> None:
    quantities = make_model(critic=RecordingCritic()).compute_loss(make_batch(), 0)
    torch.testing.assert_close(quantities["jensen_shannon"], torch.tensor(-2 * log(2)))
    torch.testing.assert_close(quantities["mutual_information"], torch.tensor(0.0))


def test_one_pair_of_a_great_score_leaves_the_mutual_information_readable() -> None:
    class Outlier(RecordingCritic):
        def forward(self, z_1: Tensor, z_2: Tensor) -> Tensor:
            scores = super().forward(z_1, z_2).clone()
            if len(self.pairs) == 2:  # pairs of two examples
                scores[0] = 60.0
            return scores

    quantities = make_model(critic=Outlier()).compute_loss(make_batch(8), 0)
    # one of eight density ratios is clipped to exp(5), where the bound of Nguyen et al. is 1 - exp(60) / 8
    torch.testing.assert_close(quantities["mutual_information"], torch.tensor(-log((exp(5) + 7) / 8)))


def test_pairs_are_of_one_example_and_of_two_examples() -> None:
    critic = RecordingCritic()
    make_model(critic=critic).compute_loss(make_batch(), 0)
    (z_1, z_2), (same_z_1, others) = critic.pairs
    assert torch.equal(same_z_1, z_1)
    assert not (others == z_2).any()
    assert set(map(tuple, others.tolist())) == set(map(tuple, z_2.tolist()))


def test_the_regularization_is_the_symmetrized_divergence_in_closed_form() -> None:
    model, batch = make_model(), make_batch()
    q_1, q_2 = model.encoder_v1(batch["v1"]), model.encoder_v2(batch["v2"])
    # KL(q1 || q2) + KL(q2 || q1) of normal distributions, in which the logarithms of the scales cancel
    square = (q_1.mean - q_2.mean) ** 2
    both = (q_1.variance + square) / (2 * q_2.variance) + (q_2.variance + square) / (2 * q_1.variance) - 1
    expected = both.sum(-1).mean().detach() / 2
    torch.testing.assert_close(model.compute_loss(batch, 0)["regularization"], expected)


def test_the_symmetrized_divergence_without_a_closed_form_is_estimated() -> None:
    torch.manual_seed(0)
    q_1 = Independent(Normal(torch.tensor([0.5, 0.0]).expand(100_000, 2), 1.0), 1)
    q_2 = MultivariateNormal(torch.tensor([0.0, -1.0]).expand(100_000, 2), torch.eye(2))
    estimate = compute_symmetrised_divergence(q_1, q_2, q_1.rsample(), q_2.rsample())
    expected = (0.5**2 + 1.0**2) / 2  # of unit normal distributions, the same both ways
    # Both estimates have the variance 0.5^2 + 1^2, and their mean half of it.
    assert (estimate - expected).abs() < 4 * sqrt(1.25 / 2 / 100_000)


def test_equal_views_of_one_encoder_have_no_divergence() -> None:
    encoder = Encoder(V1_DIM)
    model = MultiViewInformationBottleneck(encoder, encoder, Critic(), beta=1.0)
    v = torch.randn(8, V1_DIM)
    assert model.compute_loss({"v1": v, "v2": v}, 0)["regularization"].abs() < 1e-6  # rounding
    assert len(list(model.parameters())) == len([*encoder.parameters(), *Critic().parameters()])
    check_model(model, {"x": v, "v1": v, "v2": v})


@pytest.mark.parametrize("beta", [0.0, 1e-3, 2.0])
def test_the_loss_is_minus_the_information_and_beta_times_the_regularization(beta: float) -> None:
    quantities = make_model(beta).compute_loss(make_batch(), 0)
    assert list(quantities) == ["loss", "jensen_shannon", "mutual_information", "regularization"]
    expected = -quantities["jensen_shannon"] + beta * quantities["regularization"]
    torch.testing.assert_close(quantities["loss"].detach(), expected)


def test_beta_may_be_a_schedule() -> None:
    model = make_model(LinearWarmup(0.0, 1.0, over="5 epochs"))
    model.get_submodule("beta").advance_to(0.5)
    quantities = model.compute_loss(make_batch(), 0)
    expected = -quantities["jensen_shannon"] + 0.5 * quantities["regularization"]
    torch.testing.assert_close(quantities["loss"].detach(), expected)


def test_a_batch_of_one_example_is_refused() -> None:
    with pytest.raises(ValueError, match=r"The batch needs at least 2 examples, .*; got 1"):
        make_model().compute_loss(make_batch(1), 0)


def test_encode_treats_its_input_as_the_first_view() -> None:
    model, x = make_model(), torch.randn(8, V1_DIM)
    torch.testing.assert_close(model.encode(x).mean, model.encoder_v1(x).mean)


def test_training_keeps_what_the_views_share_and_drops_the_rest() -> None:
    torch.manual_seed(0)
    model = MultiViewInformationBottleneck(Encoder(2), Encoder(2), Critic(), beta=0.05)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(500):
        shared, v1, v2 = torch.randn(128, 1), torch.randn(128, 1), torch.randn(128, 1)
        optimizer.zero_grad()
        batch = {"v1": torch.cat([shared, v1], 1), "v2": torch.cat([shared, v2], 1)}
        model.compute_loss(batch, step)["loss"].backward()
        optimizer.step()
    weight = model.encoder_v1.get_submodule("linear").get_parameter("weight")[:Z_DIM]  # of the mean
    assert weight[:, 1].abs().max() < 0.2 * weight[:, 0].abs().max()


@pytest.mark.parametrize(("beta", "error"), [(-1.0, ValueError), (nan, ValueError), ("1", TypeError)])
def test_bad_weights_are_refused(beta: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"^`beta` must be .*, got {beta!r}"):
        make_model(beta)


def test_an_encoder_that_cannot_be_reparameterized_is_refused() -> None:
    model = MultiViewInformationBottleneck(Encoder(V1_DIM), DiscreteEncoder(), Critic(), 0.1)
    with pytest.raises(TypeError, match=r"`encoder_v2` must .* reparameterized .*Independent\(Bernoulli"):
        model.compute_loss(make_batch(), 0)


@pytest.mark.parametrize(
    ("encoder_v1", "encoder_v2", "part"),
    [(ElementwiseEncoder(), Encoder(V2_DIM), "encoder_v1"), (Encoder(V1_DIM), ElementwiseEncoder(), "encoder_v2")],
)
def test_distributions_that_would_broadcast_are_refused(
    encoder_v1: nn.Module, encoder_v2: nn.Module, part: str
) -> None:
    model = MultiViewInformationBottleneck(encoder_v1, encoder_v2, Critic(), 0.1)
    with pytest.raises(ValueError, match=rf"`{part}` must .* event shape \(2,\), got \(8, 2\) and \(\); .*Independent"):
        model.compute_loss(make_batch(), 0)


def test_scores_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`critic` must return a tensor of shape \(8,\), got \(8, 1\)"):
        make_model(critic=ColumnCritic()).compute_loss(make_batch(), 0)
