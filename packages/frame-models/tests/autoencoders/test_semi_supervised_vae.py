from math import log

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, Distribution, Independent, MultivariateNormal, Normal

from frame_models import SemiSupervisedVariationalAutoencoder

SHIFTS = torch.tensor([-1.0, 0.5, 2.0])
"""x | z, y ~ N(z + shift_y, 1) and z ~ N(0, 1), so that x | y ~ N(shift_y, 2)."""


class Decoder(nn.Module):
    def forward(self, z: Tensor, y: Tensor) -> Distribution:
        return Independent(Normal(z + SHIFTS[y].unsqueeze(-1), 1.0), 1)


class ExactEncoder(nn.Module):
    """z | x, y ~ N((x - shift_y) / 2, 1 / 2), as a type for which torch has no divergence from the prior."""

    def forward(self, x: Tensor, y: Tensor) -> Distribution:
        return MultivariateNormal((x - SHIFTS[y].unsqueeze(-1)) / 2, 0.5 * torch.eye(1))


class ExactPredictor(nn.Module):
    """y | x by Bayes' rule."""

    def forward(self, x: Tensor) -> Distribution:
        return Categorical(logits=Normal(SHIFTS, 2**0.5).log_prob(x))


class LinearPredictor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 3)

    def forward(self, x: Tensor) -> Distribution:
        return Categorical(logits=self.linear(x))


class Prior(nn.Module):
    def forward(self) -> Distribution:
        return Independent(Normal(torch.zeros(1), 1.0), 1)


def make_model(predictor: nn.Module, alpha: float = 0.0) -> SemiSupervisedVariationalAutoencoder:
    return SemiSupervisedVariationalAutoencoder(ExactEncoder(), Decoder(), Prior(), predictor, alpha)


def compute_joint(x: Tensor) -> Tensor:
    """Return log p(x, y) for each label y, of shape (batch, 3)."""
    return Normal(SHIFTS, 2**0.5).log_prob(x) - log(3)


def test_the_bound_of_an_unknown_label_is_the_log_evidence_if_both_posteriors_are_exact() -> None:
    model, x = make_model(ExactPredictor()), torch.randn(16, 1)
    expected = compute_joint(x).logsumexp(1).mean()  # at every z: there is no sampling error
    quantities = model.compute_loss({"x": x, "y": torch.full((16,), -1)}, 0)
    torch.testing.assert_close(-quantities["loss"], expected)
    terms = model.compute_loss_components({"x": x})
    torch.testing.assert_close(-(terms["reconstruction"] + terms["regularization"]), expected)


def test_the_bound_of_a_known_label_is_that_of_the_joint_distribution() -> None:
    model, x, y = make_model(LinearPredictor()), torch.randn(16, 1), torch.arange(16) % 3
    quantities = model.compute_loss({"x": x, "y": y}, 0)
    torch.testing.assert_close(-quantities["loss"], compute_joint(x)[torch.arange(16), y].mean())


def test_the_bound_of_a_batch_has_both_kinds_and_the_loss_of_the_predictor() -> None:
    predictor = LinearPredictor()
    model, x, y = make_model(predictor, alpha=0.7), torch.randn(4, 1), torch.tensor([-1, 2, -1, 0])
    q_y, joint = predictor(x), compute_joint(x)
    unknown = (q_y.probs * (joint - q_y.logits)).sum(1)  # E[log p(x, y) - log q(y | x)]
    bound = (unknown[0] + joint[1, 2] + unknown[2] + joint[3, 0]) / 4
    prediction = -(q_y.logits[1, 2] + q_y.logits[3, 0]) / 4
    quantities = model.compute_loss({"x": x, "y": y}, 0)
    torch.testing.assert_close(quantities["elbo"], bound.detach())
    torch.testing.assert_close(quantities["loss"], 0.7 * prediction - bound)
    assert quantities["labelled"] == 0.5


def test_an_unknown_label_does_not_train_the_predictor_on_a_label() -> None:
    predictor = LinearPredictor()
    model = make_model(predictor, alpha=1e6)
    quantities = model.compute_loss({"x": torch.randn(8, 1), "y": torch.full((8,), -1)}, 0)
    assert quantities["prediction"] == 0


def test_samples_and_reconstructions_depend_on_the_label() -> None:
    torch.manual_seed(0)
    model = make_model(ExactPredictor())
    y = torch.arange(3).repeat(10_000)
    samples = model.sample(y=y).view(-1, 3).mean(0)
    assert ((samples - SHIFTS).abs() < 4 / 10_000**0.5).all()
    x = SHIFTS.unsqueeze(1)  # the most probable label of each is its own
    torch.testing.assert_close(model.reconstruct({"x": x}), x)


def test_labels_are_classified_by_the_predictor() -> None:
    probabilities = make_model(ExactPredictor()).classify({"x": torch.tensor([[-5.0], [7.0]])}).probs
    assert probabilities.argmax(1).tolist() == [0, 2]


class NoCategories(nn.Module):
    def forward(self, x: Tensor) -> Distribution:
        return Bernoulli(logits=x.squeeze(1))


def test_a_predictor_of_another_distribution_is_refused() -> None:
    with pytest.raises(TypeError, match="`predictor` must return a `Categorical` distribution over labels, got Bern"):
        make_model(NoCategories()).compute_loss({"x": torch.randn(2, 1), "y": torch.zeros(2).long()}, 0)


def test_a_negative_alpha_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^`alpha` must be non-negative, got -1.0\.$"):
        make_model(ExactPredictor(), alpha=-1.0)
