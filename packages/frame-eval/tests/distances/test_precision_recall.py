from typing import Any

import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn

from frame_core import SCALARS_ENTRY, run_evaluation
from frame_core.testing import TinyModel, TinyOptimization, make_tiny_data
from frame_eval import PrecisionRecallEvaluation
from frame_eval.distances import precision_recall
from frame_eval.distances.precision_recall import compute_coverage


def compute_with_scikit_learn(points: Tensor, centers: Tensor, n_neighbors: int) -> float:
    search = NearestNeighbors(algorithm="brute").fit(centers.double().numpy())
    radii = search.kneighbors(n_neighbors=n_neighbors)[0][:, -1]  # without the centers themselves
    distances = search.kneighbors(points.double().numpy(), n_neighbors=len(centers))
    return float(((distances[0] <= radii[distances[1]]).any(1)).mean())


@pytest.mark.parametrize("n_neighbors", [1, 3])
@pytest.mark.parametrize("batch_size", [7, 1000])
def test_the_covered_fraction_is_that_of_the_neighbors_of_scikit_learn(
    n_neighbors: int, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision_recall, "BATCH_SIZE", batch_size)
    torch.manual_seed(0)
    points, centers = torch.randn(60, 4), 1 + torch.randn(50, 4)
    expected = compute_with_scikit_learn(points, centers, n_neighbors)
    assert 0.1 < expected < 0.9
    assert compute_coverage(points, centers, n_neighbors).item() == pytest.approx(expected)


class Corner(TinyModel):
    """Generates one of the examples, always the same, or all."""

    def __init__(self, examples: Tensor) -> None:
        super().__init__()
        self.examples = examples

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        return self.examples[torch.arange(sample_shape.numel()) % len(self.examples)]


def test_copies_of_few_examples_are_precise_and_recall_little() -> None:
    torch.manual_seed(0)
    data = {"valid": make_tiny_data(40)}
    all_of_them = torch.stack([example["x"] for example in data["valid"]])
    evaluation = PrecisionRecallEvaluation("valid", nn.Flatten(), n_samples=40)
    entry = run_evaluation(evaluation, TinyOptimization(Corner(all_of_them), data))
    assert entry.data_type == SCALARS_ENTRY
    assert entry.value == {"precision": 1.0, "recall": 1.0}
    few = run_evaluation(evaluation, TinyOptimization(Corner(all_of_them[:2]), data)).value
    assert few["precision"] == 1.0
    assert few["recall"] == pytest.approx(2 / 40)  # balls of copies have no radius
    far = run_evaluation(evaluation, TinyOptimization(Corner(all_of_them + 100), data)).value
    assert far == {"precision": 0.0, "recall": 0.0}


def test_a_split_with_too_few_examples_is_refused() -> None:
    optimization = TinyOptimization(TinyModel(), {"valid": make_tiny_data(3)})
    with pytest.raises(ValueError, match="needs more examples than `n_neighbors`, 3, got 3"):
        run_evaluation(PrecisionRecallEvaluation("valid", nn.Flatten(), 8), optimization)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 3}, "`n_samples` must be at least 4, got 3"),
        ({"n_neighbors": 0}, "`n_neighbors` must be positive, got 0"),
    ],
)
def test_bad_numbers_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PrecisionRecallEvaluation("valid", nn.Identity(), **options)
