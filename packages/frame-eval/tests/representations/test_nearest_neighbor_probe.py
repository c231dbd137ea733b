from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor
from torch.distributions import Distribution

from frame_core import SCALAR_ENTRY, Delta, RepresentationLearningModel, check_requirements, run_evaluation
from frame_core.testing import TinyOptimization
from frame_eval import NearestNeighborProbeEvaluation
from frame_eval.representations import nearest_neighbor_probe
from frame_eval.representations.nearest_neighbor_probe import classify_by_neighbors


class Identity(RepresentationLearningModel):
    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"loss": data["x"].mean()}

    def encode(self, x: Tensor) -> Distribution:
        return Delta(x, 1)


def make_clusters(n_data: int, seed: int) -> list[dict[str, Tensor]]:
    centers = torch.randn(4, 5, generator=torch.Generator().manual_seed(123))
    noise = torch.randn(n_data, 5, generator=torch.Generator().manual_seed(seed))
    return [{"x": centers[i % 4] + noise[i], "y": torch.tensor(i % 4)} for i in range(n_data)]


@pytest.mark.parametrize(("n_neighbors", "temperature"), [(1, 0.07), (20, 0.07), (50, 1.0)])
def test_accuracy_is_that_of_scikit_learn_with_the_weights_of_the_paper(
    n_neighbors: int, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest_neighbor_probe, "BATCH_SIZE", 64)
    data = {"train": make_clusters(300, seed=1), "valid": make_clusters(200, seed=2)}
    evaluation = NearestNeighborProbeEvaluation("valid", n_neighbors=n_neighbors, temperature=temperature)
    entry = run_evaluation(evaluation, TinyOptimization(model=Identity(), data=data))

    def weigh(distances: Any) -> Any:  # distances are 1 - s
        return np.exp((1 - distances) / temperature)

    (x_train, y_train), (x, y) = (
        tuple(torch.stack([example[name] for example in data[split]]).numpy() for name in ("x", "y"))
        for split in ("train", "valid")
    )
    oracle = KNeighborsClassifier(n_neighbors, weights=weigh, metric="cosine", algorithm="brute")
    assert entry.data_type == SCALAR_ENTRY
    assert entry.value == pytest.approx(oracle.fit(x_train, y_train).score(x, y))
    assert 0.4 < entry.value < 0.95


def test_a_low_temperature_does_not_overflow_and_follows_the_nearest_neighbor() -> None:
    torch.manual_seed(0)
    vectors, labels = torch.randn(20, 3), torch.arange(20)
    assert torch.equal(classify_by_neighbors(vectors, vectors, labels, 20, 1e-4), labels)


def test_more_neighbors_than_training_examples_means_all() -> None:
    data = {"train": make_clusters(8, seed=1), "valid": make_clusters(4, seed=2)}
    run_evaluation(NearestNeighborProbeEvaluation("valid"), TinyOptimization(model=Identity(), data=data))


@pytest.mark.parametrize("split", ["train", "valid"])
def test_examples_without_labels_are_refused(split: str) -> None:
    data = {"train": make_clusters(8, 1), "valid": make_clusters(8, 2), split: [(torch.zeros(5),)]}
    with pytest.raises(ValueError, match=f"Split '{split}' of `data` has no labels"):
        check_requirements(NearestNeighborProbeEvaluation("valid"), TinyOptimization(model=Identity(), data=data))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_train": 0}, ValueError, "`n_train` must be positive, got 0"),
        ({"n_neighbors": 1.5}, TypeError, r"`n_neighbors` must be an integer, got 1\.5"),
        ({"temperature": 0.0}, ValueError, r"`temperature` must be positive and finite, got 0\.0"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        NearestNeighborProbeEvaluation("valid", **options)
