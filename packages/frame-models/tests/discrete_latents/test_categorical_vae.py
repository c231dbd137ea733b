from itertools import product
from math import log

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal, OneHotCategorical

from frame_core import ExponentialWarmup, LinearWarmup
from frame_models import CategoricalVariationalAutoencoder

CODES = torch.stack([torch.eye(3)[list(pair)] for pair in product(range(3), repeat=2)])
"""All nine pairs of one-hot vectors."""


class Encoder(nn.Module):
    """Two variables with three categories, whose logits are linear in the data."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 6)

    def forward(self, x: Tensor) -> Distribution:
        return Independent(OneHotCategorical(logits=self.linear(x).unflatten(-1, (2, 3))), 1)


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 2)

    def forward(self, z: Tensor) -> Distribution:
        return Independent(Normal(self.linear(z.flatten(-2)), 0.7), 1)


class Uniform(nn.Module):
    def forward(self) -> Distribution:
        return Independent(OneHotCategorical(logits=torch.zeros(2, 3)), 1)


class Continuous(nn.Module):
    def forward(self, x: Tensor | None = None) -> Distribution:
        return Independent(Normal(torch.zeros((2, 3) if x is None else (len(x), 2, 3)), 1.0), 2)


def make_model(temperature: float = 0.5) -> CategoricalVariationalAutoencoder:
    torch.manual_seed(0)
    return CategoricalVariationalAutoencoder(Encoder(), Decoder(), Uniform(), temperature)


def enumerate_terms(model: CategoricalVariationalAutoencoder, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return log q(z | x), log p(z) and log p(x | z) of one example for all nine z."""
    repeated = x.expand(9, -1)
    log_q = model.encode(repeated).log_prob(CODES)
    return log_q, torch.full((9,), -2 * log(3)), model.decode(CODES).log_prob(repeated)


def test_the_lower_bound_is_that_of_a_sum_over_all_codes() -> None:
    model, x = make_model(), torch.randn(1, 2)
    log_q, log_prior, log_likelihood = enumerate_terms(model, x)
    expected = (log_q.exp() * (log_likelihood + log_prior - log_q)).sum()
    n_samples = 20_000
    terms = model.compute_loss_components({"x": x.expand(n_samples, -1)})
    spread = (log_q.exp() * log_likelihood**2).sum() - (log_q.exp() * log_likelihood).sum() ** 2
    torch.testing.assert_close(terms["regularization"], (log_q.exp() * (log_q - log_prior)).sum())
    bound = -(terms["reconstruction"] + terms["regularization"])
    assert (bound - expected).abs() < 4 * (spread / n_samples).sqrt() + 1e-4


def test_the_log_likelihood_is_that_of_a_sum_over_all_codes() -> None:
    model, x = make_model(), torch.randn(1, 2)
    _, log_prior, log_likelihood = enumerate_terms(model, x)
    evidence = (log_prior + log_likelihood).logsumexp(0)
    weights = (model.compute_log_weights({"x": x}, 20_000) - evidence).exp()
    assert (weights.mean() - 1).abs() < 4 * weights.std() / 20_000**0.5


def test_the_loss_approaches_the_lower_bound_as_the_temperature_falls() -> None:
    model, x = make_model(temperature=1e-3), torch.randn(1, 2).expand(20_000, -1)
    quantities, terms = model.compute_loss({"x": x}, 0), model.compute_loss_components({"x": x})
    # the log-likelihood has a standard deviation below 2 over z
    expected = terms["reconstruction"] + terms["regularization"]
    assert (quantities["loss"] - expected).abs() < 4 * 2 * (2 / 20_000) ** 0.5


def test_the_gradient_of_the_encoder_is_that_of_the_relaxation() -> None:
    model, x = make_model(temperature=0.7), torch.randn(3, 2)
    torch.manual_seed(1)
    model.compute_loss({"x": x}, 0)["loss"].backward()
    gradient = model.encoder.get_parameter("linear.bias").grad
    torch.manual_seed(1)
    noise = -torch.empty(3, 2, 3).exponential_().log()  # standard Gumbel
    bias = model.encoder.get_parameter("linear.bias")
    logits = model.encoder.get_submodule("linear")(x).unflatten(-1, (2, 3)).log_softmax(-1)
    z = ((logits + noise) / 0.7).softmax(-1)
    divergence = (logits.exp() * (logits + log(3))).sum((1, 2)).mean()
    loss = -model.decode(z).log_prob(x).mean() + divergence
    torch.testing.assert_close(gradient, torch.autograd.grad(loss, [bias])[0])


def test_samples_are_decoded_from_one_hot_vectors() -> None:
    model = make_model()
    samples = model.sample(torch.Size([200]))
    distances = (samples.unsqueeze(1) - model.decode(CODES).mean).norm(dim=2)
    assert distances.min(1).values.max() < 1e-5
    assert len(distances.argmin(1).unique()) == 9


def test_the_temperature_may_be_a_schedule() -> None:
    schedule = ExponentialWarmup(1.0, 0.25, over="training")
    schedule.advance_to(0.5)
    x, losses = {"x": torch.randn(4, 2)}, []
    for temperature in (schedule, 0.5):
        torch.manual_seed(0)
        model = CategoricalVariationalAutoencoder(Encoder(), Decoder(), Uniform(), temperature)
        losses.append(model.compute_loss(x, 0)["loss"])
    torch.testing.assert_close(*losses)


@pytest.mark.parametrize("temperature", [0.0, -1.0, LinearWarmup(1.0, 0.0, over="training")])
def test_a_temperature_that_is_not_positive_is_refused(temperature: float | LinearWarmup) -> None:
    with pytest.raises(ValueError, match="`temperature` must be positive and finite"):
        CategoricalVariationalAutoencoder(Encoder(), Decoder(), Uniform(), temperature)


@pytest.mark.parametrize("part", ["encoder", "prior"])
def test_other_distributions_are_refused(part: str) -> None:
    parts = {"encoder": Encoder(), "decoder": Decoder(), "prior": Uniform(), part: Continuous()}
    model = CategoricalVariationalAutoencoder(**parts, temperature=0.5)
    with pytest.raises(TypeError, match=f"`{part}` must return one-hot vectors"):
        model.compute_loss({"x": torch.randn(4, 2)}, 0)
