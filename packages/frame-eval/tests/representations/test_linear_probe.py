from collections.abc import Mapping
from typing import Any

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from frame_core import SCALAR_ENTRY, RepresentationLearningModel, check_requirements, run_evaluation
from frame_core.testing import TinyModel, TinyOptimization
from frame_eval import LinearProbeEvaluation, batches


class EncoderModel(RepresentationLearningModel):
    """Represents an example by the features of a network, with noise that the mean excludes."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(5, 8), nn.Tanh())
        self.n_encoded = 0

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"loss": self.network(data["x"]).mean()}

    def encode(self, x: Tensor) -> Distribution:
        self.n_encoded += len(x)
        return Independent(Normal(self.network(x), 100.0), 1)


def make_clusters(n_data: int, seed: int, n_labels: int = 4) -> list[dict[str, Tensor]]:
    centers = torch.randn(n_labels, 5, generator=torch.Generator().manual_seed(123))
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n_data, 5, generator=generator)
    return [{"x": centers[i % n_labels] + noise[i], "y": torch.tensor(i % n_labels)} for i in range(n_data)]


def make_optimization(n_train: int = 400) -> TinyOptimization:
    torch.manual_seed(0)
    data = {"train": make_clusters(n_train, seed=1), "valid": make_clusters(500, seed=2)}
    return TinyOptimization(model=EncoderModel(), data=data)


def compute_features(optimization: TinyOptimization, split: str) -> tuple[Any, Any]:
    x, y = (torch.stack([example[name] for example in optimization.data[split]]) for name in ("x", "y"))
    assert isinstance(optimization.model, EncoderModel)
    return optimization.model.network(x).detach().double().numpy(), y.numpy()


@pytest.mark.parametrize("batch_size", [64, 1000])
def test_accuracy_is_that_of_scikit_learn_on_the_same_features(
    batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_SIZE", batch_size)
    optimization = make_optimization()
    entry = run_evaluation(LinearProbeEvaluation("valid", regularization=0.5), optimization)
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=2.0, tol=1e-8, max_iter=10_000))
    expected = oracle.fit(*compute_features(optimization, "train")).score(*compute_features(optimization, "valid"))
    assert entry.data_type == SCALAR_ENTRY
    assert entry.value == pytest.approx(expected, abs=1.1 / 500)  # an example on the border may be on either side
    assert 0.4 < entry.value < 0.95


def test_accuracy_is_the_same_twice() -> None:
    optimization = make_optimization()
    evaluation = LinearProbeEvaluation("valid")
    assert run_evaluation(evaluation, optimization).value == run_evaluation(evaluation, optimization).value


def test_model_is_not_trained() -> None:
    optimization = make_optimization()
    LinearProbeEvaluation("valid").evaluate(optimization)  # with gradients enabled
    assert all(parameter.grad is None for parameter in optimization.model.parameters())


def test_the_requested_number_of_examples_is_trained_on() -> None:
    optimization = make_optimization(n_train=400)
    run_evaluation(LinearProbeEvaluation("valid", n_train=40), optimization)
    assert isinstance(optimization.model, EncoderModel)
    assert optimization.model.n_encoded == 40 + 500


def test_label_that_was_not_trained_on_is_not_predicted() -> None:
    data = {"few": make_clusters(100, seed=1, n_labels=2), "valid": [(torch.zeros(5), 9)] * 3}
    evaluation = LinearProbeEvaluation("valid", train_on="few")
    assert run_evaluation(evaluation, TinyOptimization(model=EncoderModel(), data=data)).value == 0.0


@pytest.mark.parametrize("split", ["train", "valid"])
def test_examples_without_labels_are_refused(split: str) -> None:
    optimization = make_optimization()
    data = {**optimization.data, split: [(torch.zeros(5),)]}
    with pytest.raises(ValueError, match=f"Split '{split}' of `data` has no labels: each example needs a `y`"):
        check_requirements(LinearProbeEvaluation("valid"), TinyOptimization(model=EncoderModel(), data=data))


@pytest.mark.parametrize("options", [{"evaluate_on": "test"}, {"evaluate_on": "valid", "train_on": "test"}])
def test_unknown_split_is_refused_and_the_splits_are_listed(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="no split 'test'; it has 'train', 'valid'"):
        check_requirements(LinearProbeEvaluation(**options), TinyOptimization())


@pytest.mark.gpu
def test_examples_are_moved_to_the_device_of_the_model() -> None:
    evaluation = LinearProbeEvaluation("valid")
    expected = run_evaluation(evaluation, TinyOptimization()).value
    on_gpu = run_evaluation(evaluation, TinyOptimization(model=TinyModel().to("cuda"))).value
    assert on_gpu == expected


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_train": 0}, ValueError, "`n_train` must be positive, got 0"),
        ({"n_train": None}, TypeError, "`n_train` must be an integer, got None"),
        ({"regularization": 0.0}, ValueError, r"`regularization` must be positive and finite, got 0\.0"),
        ({"regularization": float("nan")}, ValueError, "`regularization` must be positive and finite, got nan"),
        ({"regularization": "weak"}, TypeError, "`regularization` must be a number, got 'weak'"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        LinearProbeEvaluation("valid", **options)
