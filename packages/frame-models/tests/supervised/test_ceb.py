from math import log, sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, Normal

from frame_core import LinearWarmup
from frame_models import ConditionalEntropyBottleneck


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Distribution:
        mean, log_scale = self.linear(x).chunk(2, -1)
        return Independent(Normal(mean, log_scale.exp()), 1)


class LabelEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.means = nn.Embedding(3, 2)

    def forward(self, y: Tensor) -> Distribution:
        return Independent(Normal(self.means(y), 0.5), 1)


class Predictor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 3)

    def forward(self, z: Tensor) -> Distribution:
        return Categorical(logits=self.linear(z))


class Marginal(nn.Module):
    def forward(self, y: Tensor) -> Distribution:
        return Independent(Normal(torch.zeros(2), 1.0), 1)


def make_model(beta: Any = 0.1, n_samples: int = 1) -> ConditionalEntropyBottleneck:
    return ConditionalEntropyBottleneck(Encoder(), Predictor(), LabelEncoder(), beta, n_samples)


def make_batch(n_data: int = 6) -> dict[str, Tensor]:
    return {"x": torch.randn(n_data, 4), "y": torch.arange(n_data) % 3}


def test_the_regularization_is_the_divergence_from_the_distribution_of_the_label_in_closed_form() -> None:
    model, batch = make_model(), make_batch()
    q_z, b_z = model.encode(batch["x"]), model.backward_encoder(batch["y"])
    # KL(N(m, s^2) || N(n, t^2)) = log t / s + (s^2 + (m - n)^2) / 2 t^2 - 1 / 2, in each dimension
    divergence = (0.5 / q_z.stddev).log() + (q_z.variance + (q_z.mean - b_z.mean) ** 2) / (2 * 0.5**2) - 0.5
    expected = divergence.sum(-1).mean().detach()
    torch.testing.assert_close(model.compute_loss(batch, 0)["regularization"], expected)


def test_the_regularization_without_a_difference_from_the_label_is_zero() -> None:
    """It is zero for a posterior that depends on the label alone, however much it says about the label."""

    class FromLabel(nn.Module):
        def forward(self, x: Tensor) -> Distribution:
            return model.backward_encoder(x[:, 0].long())

    model = make_model()
    model.encoder = FromLabel()
    y = torch.arange(6) % 3
    quantities = model.compute_loss({"x": y.float().unsqueeze(1), "y": y}, 0)
    assert quantities["regularization"].abs() < 1e-6


@pytest.mark.parametrize("beta", [0.0, 0.3, LinearWarmup(0.5, 1.0, over="5 epochs")])
def test_the_loss_is_the_prediction_and_beta_times_the_regularization(beta: Any) -> None:
    quantities = make_model(beta).compute_loss(make_batch(), 0)
    weight = beta if isinstance(beta, float) else 0.5
    expected = quantities["prediction"] + weight * quantities["regularization"]
    torch.testing.assert_close(quantities["loss"].detach(), expected)


def test_the_prediction_is_the_mean_negative_log_likelihood_over_samples() -> None:
    torch.manual_seed(0)
    model, batch = make_model(n_samples=20_000), make_batch(2)
    z = model.encode(batch["x"]).sample(torch.Size([20_000]))
    losses = -torch.log_softmax(model.predictor.linear(z), -1)[:, torch.arange(2), batch["y"]].detach()  # type: ignore[operator]
    expected, error = losses.mean(), losses.mean(1).std() / sqrt(20_000)
    prediction = model.compute_loss(batch, 0)["prediction"]
    assert (prediction - expected).abs() < 4 * sqrt(2) * error


def test_classification_averages_probabilities_over_samples() -> None:
    torch.manual_seed(0)
    model, batch = make_model(), make_batch()
    q_y = model.classify(batch, n_samples=3)
    torch.manual_seed(0)
    make_model(), make_batch()
    z = model.encode(batch["x"]).sample(torch.Size([3]))
    expected = torch.stack([model.predictor(each).probs for each in z]).mean(0)
    assert isinstance(q_y, Categorical)
    torch.testing.assert_close(q_y.probs, expected)


def test_training_drops_what_the_label_does_not_say() -> None:
    torch.manual_seed(0)
    model = make_model(beta=1.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for step in range(100):
        y = torch.randint(3, (128,))
        shared = torch.nn.functional.one_hot(y, 3) + 0.1 * torch.randn(128, 3)
        optimizer.zero_grad()
        model.compute_loss({"x": torch.cat([shared, torch.randn(128, 1)], 1), "y": y}, step)["loss"].backward()
        optimizer.step()
    quantities = model.compute_loss({"x": torch.cat([shared, torch.randn(128, 1)], 1), "y": y}, 0)
    assert quantities["prediction"] < 0.3 * log(3)
    assert quantities["regularization"] < 0.3


def test_a_backward_encoder_of_another_shape_is_refused() -> None:
    model = ConditionalEntropyBottleneck(Encoder(), Predictor(), Marginal(), 0.1)
    with pytest.raises(ValueError, match=r"`backward_encoder` must .* batch shape \(6,\) .* got \(\) and \(2,\)"):
        model.compute_loss(make_batch(), 0)


@pytest.mark.parametrize(("beta", "error"), [(-1.0, ValueError), ("1", TypeError)])
def test_bad_weights_are_refused(beta: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="`beta` must be"):
        make_model(beta)
