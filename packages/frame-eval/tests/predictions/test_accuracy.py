from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, OneHotCategorical

from frame_core import (
    SCALAR_ENTRY,
    ClassificationModel,
    EvaluationView,
    check_requirements,
    get_batch,
    run_evaluation,
)
from frame_core.testing import TinyModel, TinyOptimization, make_tiny_data
from frame_eval import AccuracyEvaluation, ConfusionMatrixEvaluation, batches


class ClassificationDouble(ClassificationModel):
    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"loss": data["x"].mean()}


class ReadingModel(ClassificationDouble):
    """Reads the label from the example, and stores the size of each call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[int, int]] = []

    def classify(self, data: Mapping[str, Tensor], n_samples: int = 1) -> Distribution:
        self.calls.append((len(data["x"]), n_samples))
        return Categorical(torch.eye(10)[data["x"].flatten().long()], validate_args=False)


class HesitantModel(ClassificationDouble):
    """The probability of label 0 is 0.9 in two of five draws and 0.45 in three: 0.63 on average."""

    def classify(self, data: Mapping[str, Tensor], n_samples: int = 1) -> Distribution:
        sure = torch.rand(n_samples, len(data["x"])) < 0.4
        p_0 = torch.where(sure, 0.9, 0.45).mean(0)
        return Categorical(torch.stack([p_0, 1 - p_0], dim=-1))


class OneHotModel(ClassificationDouble):
    def classify(self, data: Mapping[str, Tensor], n_samples: int = 1) -> Distribution:
        return OneHotCategorical(torch.ones(len(data["x"]), 10))


def make_data(predicted: list[int], true: list[int]) -> dict[str, list[dict[str, Tensor]]]:
    return {"valid": [{"x": torch.tensor([float(x)]), "y": torch.tensor(y)} for x, y in zip(predicted, true)]}


@pytest.mark.parametrize("batch_size", [1, 2, 5, 1000])
def test_accuracy_is_the_fraction_of_correct_predictions(batch_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_SIZE", batch_size)
    data = make_data(predicted=[3, 1, 4, 1, 5, 9, 2], true=[3, 1, 4, 1, 0, 0, 0])
    entry = run_evaluation(AccuracyEvaluation("valid"), TinyOptimization(model=ReadingModel(), data=data))
    assert entry.data_type == SCALAR_ENTRY
    assert entry.value == 4 / 7


def test_accuracy_of_a_network_is_that_of_its_logits() -> None:
    model = TinyModel()
    optimization = TinyOptimization(model=model)
    data = get_batch(optimization.data["train"], torch.arange(12))
    logits = data["x"].flatten(1) @ model.classifier.weight.T + model.classifier.bias
    expected = sum(int(row.argmax()) == int(y) for row, y in zip(logits, data["y"])) / 12
    assert run_evaluation(AccuracyEvaluation("train"), optimization).value == expected


def test_accuracy_is_that_of_the_probabilities_averaged_over_samples() -> None:
    n_data = 400
    optimization = TinyOptimization(model=HesitantModel(), data=make_data([0] * n_data, [0] * n_data))
    one = run_evaluation(AccuracyEvaluation("valid", n_latent_samples=1), optimization).value
    assert abs(one - 0.4) < 4 * (0.4 * 0.6 / n_data) ** 0.5  # standard errors
    assert run_evaluation(AccuracyEvaluation("valid", n_latent_samples=1024), optimization).value == 1.0


def test_as_many_examples_as_requested_are_predicted() -> None:
    model = ReadingModel()
    data = {"valid": [{"x": torch.tensor([float(index % 10)]), "y": torch.tensor(index % 10)} for index in range(30)]}
    assert run_evaluation(AccuracyEvaluation("valid", n_samples=7), TinyOptimization(model=model, data=data)).value == 1
    assert model.calls == [(7, 1)]


@pytest.mark.parametrize(
    ("n_latent_samples", "batch_sizes"), [(1, [30]), (100, [30]), (1024, [9, 9, 9, 3]), (100_000, [1] * 30)]
)
def test_memory_is_bounded_for_any_number_of_draws(n_latent_samples: int, batch_sizes: list[int]) -> None:
    model = ReadingModel()
    optimization = TinyOptimization(model=model, data=make_data([0] * 30, [0] * 30))
    run_evaluation(AccuracyEvaluation("valid", n_latent_samples=n_latent_samples), optimization)
    assert model.calls == [(batch_size, n_latent_samples) for batch_size in batch_sizes]


def test_accuracy_is_read_from_the_device_once(read_counter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_SIZE", 1)
    optimization = TinyOptimization(model=ReadingModel(), data=make_data([1, 2, 3], [1, 2, 3]))
    with read_counter:
        AccuracyEvaluation("valid").evaluate(optimization)
    assert read_counter.n_reads == 1


@pytest.mark.parametrize(
    "example",
    [
        {"x": torch.zeros(1)},
        {"x": torch.zeros(1), "y": torch.tensor(0.5)},
        {"x": torch.zeros(1), "y": torch.tensor([1])},  # would broadcast to all pairs
    ],
)
def test_examples_without_labels_are_refused(example: dict[str, Tensor]) -> None:
    optimization = TinyOptimization(model=ReadingModel(), data={"valid": [example, example]})
    with pytest.raises(ValueError, match="Split 'valid' of `data` has no labels: each example needs a `y`"):
        check_requirements(AccuracyEvaluation("valid"), optimization)


def test_evaluations_that_share_read_a_split_once_and_return_the_same_as_alone() -> None:
    optimization = TinyOptimization(model=HesitantModel(), data=make_data(predicted=[0] * 30, true=[0, 1] * 15))
    evaluations = [AccuracyEvaluation("valid", 3), ConfusionMatrixEvaluation("valid", 3), AccuracyEvaluation("valid")]
    alone = [run_evaluation(evaluations[index], optimization).value for index in (0, 2)]
    view = EvaluationView(optimization.model, optimization.data, optimization.counters)
    shared = [run_evaluation(evaluation, view).value for evaluation in evaluations]
    assert [shared[0], shared[2]] == alone
    assert alone[0] != alone[1]  # their numbers of samples differ
    assert len(view.cache) == 2


def test_labels_of_tuples_are_found() -> None:
    data = {"valid": [(torch.tensor([1.0]), 1), (torch.tensor([2.0]), 0)]}
    assert run_evaluation(AccuracyEvaluation("valid"), TinyOptimization(model=ReadingModel(), data=data)).value == 0.5


def test_distribution_that_is_not_categorical_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"`OneHotModel.classify` must return a `Categorical` .*, got a OneHotCategorical"
    ):
        run_evaluation(AccuracyEvaluation("valid"), TinyOptimization(model=OneHotModel()))


@pytest.mark.gpu
def test_examples_are_moved_to_the_device_of_the_model() -> None:
    torch.manual_seed(0)
    model = TinyModel()
    data = {"valid": make_tiny_data(100)}
    expected = run_evaluation(AccuracyEvaluation("valid"), TinyOptimization(model=model, data=data)).value
    on_gpu = run_evaluation(AccuracyEvaluation("valid"), TinyOptimization(model=model.to("cuda"), data=data)).value
    assert on_gpu == expected


@pytest.mark.parametrize(
    ("n_samples", "error", "message"),
    [
        (0, ValueError, "`n_samples` must be positive, got 0"),
        (1.5, TypeError, r"`n_samples` must be an integer, got 1\.5"),
    ],
)
def test_bad_number_of_examples_or_draws_is_refused(n_samples: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        AccuracyEvaluation("valid", n_samples=n_samples)
    with pytest.raises(error, match=message.replace("n_samples", "n_latent_samples")):
        AccuracyEvaluation("valid", n_latent_samples=n_samples)
