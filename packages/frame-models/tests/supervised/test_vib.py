from math import nan, sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, Distribution, Independent, MultivariateNormal, Normal
from torch.nn.functional import cross_entropy

from frame_core import LinearWarmup
from frame_core.testing import check_model
from frame_models import VariationalInformationBottleneck

X_DIM, N_LABELS = 4, 3


class Encoder(nn.Module):
    def __init__(self, z_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(X_DIM, 2 * z_dim)
        self.n_calls = 0

    def forward(self, x: Tensor) -> Distribution:
        self.n_calls += 1
        mean, log_scale = self.linear(x).chunk(2, dim=-1)
        return Independent(Normal(mean, log_scale.exp()), 1)


class Predictor(nn.Module):
    def __init__(self, z_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(z_dim, N_LABELS)

    def forward(self, z: Tensor) -> Distribution:
        return Categorical(logits=self.linear(z))


class StandardNormal(nn.Module):
    def __init__(self, z_dim: int) -> None:
        super().__init__()
        self.z_dim = z_dim

    def forward(self) -> Distribution:
        return Independent(Normal(torch.zeros(self.z_dim), 1.0), 1)


class StandardNormalWithCovariance(nn.Module):
    """The same prior, as a type for which torch registers no divergence from the encoder's distribution."""

    def forward(self) -> Distribution:
        return MultivariateNormal(torch.zeros(2), torch.eye(2))


class ElementwiseEncoder(nn.Module):
    def forward(self, x: Tensor) -> Distribution:
        return Normal(x[:, :2], 1.0)


class DiscreteEncoder(nn.Module):
    def forward(self, x: Tensor) -> Distribution:
        return Independent(Bernoulli(logits=x[:, :2]), 1)


class LabelForEachDimension(nn.Module):
    def forward(self, z: Tensor) -> Distribution:
        return Categorical(logits=z.unsqueeze(-1).expand(*z.shape, N_LABELS))


def make_model(z_dim: int = 2, beta: Any = 0.1, n_samples: Any = 1) -> VariationalInformationBottleneck:
    return VariationalInformationBottleneck(
        Encoder(z_dim), Predictor(z_dim), StandardNormal(z_dim), beta=beta, n_samples=n_samples
    )


def make_batch(n_data: int = 8) -> dict[str, Tensor]:
    return {"x": torch.randn(n_data, X_DIM), "y": torch.arange(n_data) % N_LABELS}


def integrate_over_z(model: VariationalInformationBottleneck, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return E[q(y | z)] and E[log q(y | z)] over one-dimensional z ~ q(z | x), by the trapezoidal rule."""
    z = torch.linspace(-30, 30, 20_001)
    density = model.encode(x).log_prob(z[:, None, None]).exp()  # (z, batch)
    log_probabilities = model.predictor.get_submodule("linear")(z[:, None]).log_softmax(-1)  # (z, labels)
    integrands = density[:, :, None] * log_probabilities[:, None]
    of_probabilities = density[:, :, None] * log_probabilities.exp()[:, None]
    return torch.trapezoid(of_probabilities, z, dim=0).detach(), torch.trapezoid(integrands, z, dim=0).detach()


def test_the_prediction_term_is_the_expected_cross_entropy() -> None:
    torch.manual_seed(0)
    model, batch = make_model(z_dim=1, n_samples=1000), make_batch(3)
    expected = -integrate_over_z(model, batch["x"])[1][torch.arange(3), batch["y"]].mean()
    terms = torch.stack([model.compute_loss(batch, 0)["prediction"] for _ in range(100)])
    assert (terms.mean() - expected).abs() < 4 * terms.std() / sqrt(len(terms))


@pytest.mark.parametrize("n_samples", [1, 12])
def test_the_prediction_term_is_a_mean_over_the_samples(n_samples: int) -> None:
    model, batch = make_model(n_samples=n_samples), make_batch()
    torch.manual_seed(1)
    z = model.encode(batch["x"]).rsample(torch.Size([n_samples]))
    logits = model.predictor.get_submodule("linear")(z)
    expected = torch.stack([cross_entropy(logits_of_sample, batch["y"]) for logits_of_sample in logits]).mean()
    torch.manual_seed(1)
    torch.testing.assert_close(model.compute_loss(batch, 0)["prediction"], expected.detach())


@pytest.mark.parametrize("n_samples", [1, 12])
def test_the_regularization_is_the_divergence_in_closed_form(n_samples: int) -> None:
    model, batch = make_model(n_samples=n_samples), make_batch()
    q_z = model.encode(batch["x"])
    expected = ((q_z.variance + q_z.mean**2 - 1 - q_z.variance.log()) / 2).sum(-1).mean().detach()
    torch.testing.assert_close(model.compute_loss(batch, 0)["regularization"], expected)


def test_the_regularization_without_a_closed_form_is_estimated() -> None:
    torch.manual_seed(0)
    model, batch = make_model(n_samples=100), make_batch()
    expected = model.compute_loss(batch, 0)["regularization"]
    model.prior = StandardNormalWithCovariance()
    terms = torch.stack([model.compute_loss(batch, 0)["regularization"] for _ in range(100)])
    assert (terms.mean() - expected).abs() < 4 * terms.std() / sqrt(len(terms))


@pytest.mark.parametrize("beta", [0.0, 1e-3, 2.0])
def test_the_loss_is_the_prediction_and_beta_times_the_regularization(beta: float) -> None:
    quantities = make_model(beta=beta).compute_loss(make_batch(), 0)
    assert list(quantities) == ["loss", "prediction", "regularization"]
    expected = quantities["prediction"] + beta * quantities["regularization"]
    torch.testing.assert_close(quantities["loss"].detach(), expected)


def test_beta_may_be_a_schedule() -> None:
    model, batch = make_model(beta=LinearWarmup(0.0, 1.0, over="5 epochs")), make_batch()
    model.get_submodule("beta").advance_to(0.5)
    quantities = model.compute_loss(batch, 0)
    expected = quantities["prediction"] + 0.5 * quantities["regularization"]
    torch.testing.assert_close(quantities["loss"].detach(), expected)
    check_model(model, batch)


def test_a_label_is_predicted_by_the_mean_of_the_probabilities_over_samples() -> None:
    torch.manual_seed(0)
    model, x = make_model(z_dim=1), torch.randn(3, X_DIM)
    expected, _ = integrate_over_z(model, x)
    p_y = model.classify({"x": x}, n_samples=100_000)
    assert isinstance(p_y, Categorical)
    # A probability lies in [0, 1], so its standard deviation over samples is at most 1/2.
    assert ((p_y.probs - expected).abs() < 4 * 0.5 / sqrt(100_000)).all()


def test_the_label_probability_of_few_samples_is_the_mean_of_their_softmax() -> None:
    model, x = make_model(), torch.randn(5, X_DIM)
    for n_samples in (1, 3):
        torch.manual_seed(1)
        z = model.encode(x).sample(torch.Size([n_samples]))
        expected = model.predictor.get_submodule("linear")(z).softmax(-1).mean(0)
        torch.manual_seed(1)
        p_y = model.classify({"x": x}, n_samples)
        assert isinstance(p_y, Categorical)
        torch.testing.assert_close(p_y.probs, expected)


def test_the_encoder_runs_once_for_any_number_of_samples() -> None:
    model = make_model(n_samples=12)
    encoder = model.encoder
    assert isinstance(encoder, Encoder)
    model.classify({"x": torch.randn(5, X_DIM)}, n_samples=7)
    assert encoder.n_calls == 1
    model.compute_loss(make_batch(), 0)
    assert encoder.n_calls == 2


def test_training_keeps_the_label_and_drops_the_rest() -> None:
    torch.manual_seed(0)
    model = make_model(beta=0.05)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for step in range(400):
        x = torch.randn(256, X_DIM)
        optimizer.zero_grad()
        model.compute_loss({"x": x, "y": (x[:, 0] > 0).long()}, step)["loss"].backward()
        optimizer.step()
    x = torch.randn(2000, X_DIM)
    probabilities = model.classify({"x": x}, n_samples=50)
    assert isinstance(probabilities, Categorical)
    assert (probabilities.probs.argmax(-1) == (x[:, 0] > 0)).float().mean() > 0.95
    weight = model.encoder.get_submodule("linear").get_parameter("weight")[:2]  # of the mean
    assert weight[:, 1:].abs().max() < 0.2 * weight[:, 0].abs().max()


@pytest.mark.parametrize(("beta", "error"), [(-1.0, ValueError), (nan, ValueError), ("1", TypeError)])
def test_bad_weights_are_refused(beta: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"^`beta` must be .*, got {beta!r}"):
        make_model(beta=beta)


@pytest.mark.parametrize(
    ("n_samples", "error"), [(0, ValueError), (-2, ValueError), (1.5, TypeError), ("3", TypeError)]
)
def test_bad_numbers_of_samples_are_refused(n_samples: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"^`n_samples` must be .*, got {n_samples!r}"):
        make_model(n_samples=n_samples)
    with pytest.raises(error, match=f"^`n_samples` must be .*, got {n_samples!r}"):
        make_model().classify({"x": torch.randn(5, X_DIM)}, n_samples)


def test_an_encoder_that_cannot_be_reparameterized_is_refused() -> None:
    model = VariationalInformationBottleneck(DiscreteEncoder(), Predictor(2), StandardNormal(2), beta=0.1)
    with pytest.raises(TypeError, match=r"`encoder` must .* reparameterized .*Independent\(Bernoulli"):
        model.compute_loss(make_batch(), 0)


@pytest.mark.parametrize(
    ("encoder", "predictor", "prior", "message"),
    [
        (ElementwiseEncoder(), Predictor(2), StandardNormal(2), r"`encoder` must .* got \(8, 2\) and \(\)"),
        (Encoder(2), LabelForEachDimension(), StandardNormal(2), r"`predictor` must .* \(24,\) .* got \(24, 2\) and"),
        (Encoder(2), Predictor(2), StandardNormal(3), r"`prior` must .* event shape \(2,\), got \(\) and \(3,\)"),
    ],
    ids=["encoder", "predictor", "prior"],
)
def test_distributions_that_would_broadcast_are_refused(
    encoder: nn.Module, predictor: nn.Module, prior: nn.Module, message: str
) -> None:
    model = VariationalInformationBottleneck(encoder, predictor, prior, beta=0.1, n_samples=3)
    with pytest.raises(ValueError, match=message):
        model.compute_loss(make_batch(), 0)
