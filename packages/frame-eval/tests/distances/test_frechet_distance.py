import math
from typing import Any

import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor, nn

from frame_core import GenerativeModel, check_requirements, run_evaluation
from frame_core.testing import TinyConditionalModel, TinyModel, TinyOptimization
from frame_eval import FrechetDistanceEvaluation
from frame_eval.distances.frechet_distance import compute_frechet_distance


def compute_by_definition(first: Tensor, second: Tensor) -> float:
    """Compute the distance with the matrix square root of scipy."""
    c_1, c_2 = (sample.double().T.cov().numpy() for sample in (first, second))
    distance = (first.double().mean(0) - second.double().mean(0)).square().sum().item()
    return distance + (c_1 + c_2 - 2 * sqrtm(c_1 @ c_2).real).trace()


def test_distance_is_that_of_the_definition() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(100, 5) @ torch.randn(5, 5), torch.randn(80, 5) @ torch.randn(5, 5) + torch.randn(5)
    distance = compute_frechet_distance(first, second).item()
    assert distance == pytest.approx(compute_by_definition(first, second), rel=1e-6)


def test_distance_of_one_dimension_is_that_of_means_and_deviations() -> None:
    first, second = torch.tensor([[0.0], [2.0]]), torch.tensor([[3.0], [9.0]])
    expected = (1 - 6) ** 2 + (math.sqrt(2) - math.sqrt(18)) ** 2
    assert compute_frechet_distance(first, second).item() == pytest.approx(expected)


def test_a_sample_has_no_distance_to_itself_even_if_a_feature_is_constant() -> None:
    sample = torch.cat([torch.randn(50, 3), torch.ones(50, 1)], dim=1)
    assert compute_frechet_distance(sample, sample).item() == pytest.approx(0.0, abs=1e-6)


class Shifted(TinyModel):
    """Samples the examples of a split, shifted."""

    def __init__(self, examples: Tensor, distance: float) -> None:
        super().__init__()
        self.examples, self.distance = examples, distance

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        return self.examples[torch.randint(len(self.examples), sample_shape)] + self.distance


@pytest.mark.parametrize("n_samples", [500, 2500])
def test_a_shift_of_the_examples_is_the_distance_of_their_features(n_samples: int) -> None:
    torch.manual_seed(0)
    examples = torch.randn(400, 5)
    data = {"valid": [{"x": x} for x in examples]}
    features = nn.Sequential(nn.Dropout(0.5), nn.Linear(5, 3))  # the dropout is off
    evaluation = FrechetDistanceEvaluation("valid", features, n_samples)
    near, far = (
        run_evaluation(evaluation, TinyOptimization(model=Shifted(examples, distance), data=data)).value
        for distance in (0.0, 10.0)
    )
    weight = features[1].get_parameter("weight")
    expected = (10 * weight.sum(1)).square().sum().item()
    assert near < 0.1
    assert far == pytest.approx(expected, rel=0.1)
    assert features.training


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (nn.Unflatten(1, (1, -1)), r"got numbers of shape \(7, 1, 1, 4, 4\)"),
        (nn.Threshold(100.0, math.nan), "got NaN or inf"),
        (nn.Conv2d(3, 2, 1), r"`features` must be a network for examples of shape \(1, 4, 4\); this one raised: Given"),
    ],
)
def test_networks_of_other_examples_and_features_that_are_not_vectors_are_refused(
    features: nn.Module, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run_evaluation(FrechetDistanceEvaluation("valid", features, 8), TinyOptimization())


@pytest.mark.parametrize(("n_samples", "error"), [(1, ValueError), (2.0, TypeError)])
def test_bad_numbers_of_samples_are_refused(n_samples: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^`n_samples` must be "):
        FrechetDistanceEvaluation("valid", nn.Identity(), n_samples)


class OfLabels(TinyConditionalModel):
    """Samples the label itself."""

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False, *, y: Tensor) -> Tensor:
        return y.double().view(*sample_shape, -1, 1)


def test_a_conditional_model_generates_for_the_labels_of_the_split() -> None:
    """With labels 0, 1 and 9, the generated and the real features have the same distribution, with more samples too."""
    data = {"valid": [{"x": torch.tensor([float(y)]).double(), "y": torch.tensor(y)} for y in [0, 1, 9] * 10]}
    optimization = TinyOptimization(model=OfLabels(), data=data)
    evaluation = FrechetDistanceEvaluation("valid", nn.Identity(), 2500)
    check_requirements(evaluation, optimization)
    assert run_evaluation(evaluation, optimization).value < 0.1


def test_a_conditional_model_needs_its_conditions_in_the_split() -> None:
    data = {"valid": [{"x": torch.zeros(1, 4, 4)}]}
    with pytest.raises(TypeError, match=r"`TinyConditionalModel.sample` needs `y`. Set `evaluate_on` to a split"):
        check_requirements(
            FrechetDistanceEvaluation("valid", nn.Flatten()), TinyOptimization(model=TinyConditionalModel(), data=data)
        )


def test_a_model_that_samples_is_required() -> None:
    assert FrechetDistanceEvaluation.requires is GenerativeModel
