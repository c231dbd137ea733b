from collections.abc import Mapping
from math import log

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from frame_core import Delta, Model, check_requirements, run_evaluation
from frame_core.testing import TinyConditionalModel, TinyModel, TinyOptimization, make_tiny_data
from frame_eval import ELBOEvaluation, RateDistortionEvaluation
from frame_eval.likelihoods.rate_distortion import compute_index_information


class Channel(Model):
    """q(z | x) = N(x, s^2), p(z) = N(0, 1), p(x | z) = N(z, 1), in one dimension."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        raise NotImplementedError

    def encode(self, x: Tensor) -> Distribution:
        return Independent(Normal(x, self.scale), 1)

    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        x, q_z = data["x"], self.encode(data["x"])
        divergence = 0.5 * (self.scale**2 + x**2 - 1) - self.scale.log()
        return {
            "reconstruction": -Normal(q_z.rsample(), 1.0).log_prob(x).sum(1).mean(),
            "regularization": divergence.sum(1).mean(),
        }


def evaluate(model: Model, x: Tensor, n_latent_samples: int = 1) -> dict[str, float]:
    optimization = TinyOptimization(model, {"valid": [{"x": row} for row in x]})
    return run_evaluation(RateDistortionEvaluation("valid", n_latent_samples=n_latent_samples), optimization).value


def test_the_terms_of_a_normal_channel_are_their_closed_forms() -> None:
    torch.manual_seed(0)
    n_examples, scale = 1500, 0.5
    x = torch.randn(n_examples, 1)
    x = 0.8 * (x - x.mean()) / x.std(correction=0)  # so that q(z) is close to N(0, 0.64 + scale^2)
    terms = evaluate(Channel(scale), x, n_latent_samples=10)
    variance = 0.64 + scale**2
    assert terms["rate"] == pytest.approx(0.5 * (variance - 1) - log(scale), abs=1e-4)
    # of (z - x)^2 / 2, which has the standard deviation scale^2 / sqrt(2)
    assert terms["distortion"] == pytest.approx(
        0.5 * log(2 * torch.pi) + scale**2 / 2, abs=4 * scale**2 / 2**0.5 / (10 * n_examples) ** 0.5
    )
    # log q(z | x) - log q(z) has a standard deviation below 0.8
    assert terms["mutual_information"] == pytest.approx(0.5 * log(variance / scale**2), abs=4 * 0.8 / n_examples**0.5)
    assert terms["marginal_divergence"] == pytest.approx(
        0.5 * (variance - 1 - log(variance)), abs=4 * 0.8 / n_examples**0.5
    )


def test_the_mutual_information_with_separate_examples_is_the_logarithm_of_their_number() -> None:
    posteriors = [
        Independent(Normal(torch.tensor([[0.0], [100.0]]), 1.0), 1),
        Independent(Normal(torch.tensor([[200.0]]), 1.0), 1),
    ]
    assert compute_index_information(posteriors).item() == pytest.approx(log(3))


def test_the_mutual_information_of_equal_posteriors_is_zero() -> None:
    posteriors = [Independent(Normal(torch.zeros(4, 2), 1.0), 1)]
    assert compute_index_information(posteriors).item() == pytest.approx(0, abs=1e-6)


def test_rate_and_distortion_are_the_terms_of_the_lower_bound() -> None:
    optimization = TinyOptimization()
    terms = run_evaluation(RateDistortionEvaluation("valid"), optimization).value
    bound = run_evaluation(ELBOEvaluation("valid"), optimization).value
    assert -(terms["rate"] + terms["distortion"]) == pytest.approx(float(bound), rel=1e-5)
    assert terms["rate"] == pytest.approx(terms["mutual_information"] + terms["marginal_divergence"])


def test_a_conditional_model_is_evaluated() -> None:
    optimization = TinyOptimization(TinyConditionalModel(), {"valid": make_tiny_data(7)})
    assert run_evaluation(RateDistortionEvaluation("valid"), optimization).value["mutual_information"] <= log(7) + 1e-5


class Opaque(Model):
    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        raise NotImplementedError

    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        raise NotImplementedError


def test_a_model_without_a_posterior_is_refused_before_the_training() -> None:
    with pytest.raises(TypeError, match="`RateDistortionEvaluation` needs a method `encode`, and `Opaque` has none"):
        check_requirements(RateDistortionEvaluation("valid"), TinyOptimization(Opaque()))


class Deterministic(TinyModel):
    def encode(self, x: Tensor) -> Distribution:
        return Delta(x, 3)

    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"reconstruction": torch.zeros(()), "regularization": torch.zeros(())}


def test_a_posterior_without_a_density_is_refused() -> None:
    with pytest.raises(TypeError, match="The mutual information needs distributions with a density"):
        run_evaluation(RateDistortionEvaluation("valid"), TinyOptimization(Deterministic()))
