from collections.abc import Mapping
from typing import Any

import pytest
import torch
from sklearn.metrics import log_loss
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution

from frame_core import PLOT_ENTRY, SCALARS_ENTRY, ClassificationModel, check_requirements, run_evaluation
from frame_core.testing import TinyOptimization
from frame_eval import CalibrationEvaluation, ReliabilityDiagramEvaluation, batches


class LogitModel(ClassificationModel):
    """The logits of a label are x."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"loss": self.scale * data["x"].mean()}

    def classify(self, data: Mapping[str, Tensor], n_samples: int = 1) -> Distribution:
        return Categorical(logits=self.scale * data["x"])


def make_optimization(x: Tensor, y: Tensor) -> TinyOptimization:
    return TinyOptimization(LogitModel(), {"valid": [{"x": each, "y": label} for each, label in zip(x, y)]})


def make_examples(n_data: int = 200) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x = 2 * torch.randn(n_data, 3)
    return x, Categorical(logits=0.5 * x).sample()  # too confident by a factor of two


def compute_error_in_loops(x: Tensor, y: Tensor, n_bins: int) -> float:
    """Compute sum_b n_b / n |accuracy_b - confidence_b| (Guo et al., 2017, equation 3), one example at a time."""
    groups: dict[int, list[tuple[float, bool]]] = {}
    for logits, label in zip(x, y):
        probabilities = logits.double().softmax(0)
        confidence = float(probabilities.max())
        index = next(i for i in range(n_bins) if i / n_bins < confidence <= (i + 1) / n_bins)
        groups.setdefault(index, []).append((confidence, int(probabilities.argmax()) == int(label)))
    return sum(
        len(group) / len(x) * abs(sum(hit for _, hit in group) / len(group) - sum(c for c, _ in group) / len(group))
        for group in groups.values()
    )


@pytest.mark.parametrize("n_bins", [1, 5, 15])
@pytest.mark.parametrize("batch_size", [64, 1000])
def test_the_numbers_are_those_of_the_paper_in_loops_and_of_scikit_learn(
    n_bins: int, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_SIZE", batch_size)
    x, y = make_examples()
    entry = run_evaluation(CalibrationEvaluation("valid", n_bins=n_bins), make_optimization(x, y))
    assert entry.data_type == SCALARS_ENTRY
    assert entry.value["ece"] == pytest.approx(compute_error_in_loops(x, y, n_bins), abs=1e-6)
    assert entry.value["nll"] == pytest.approx(log_loss(y.numpy(), x.double().softmax(1).numpy()), rel=1e-5)
    assert n_bins == 1 or entry.value["ece"] > 0.05


def test_confidence_that_is_the_accuracy_is_calibrated() -> None:
    x = torch.tensor([0.8, 0.2]).log().expand(5, 2)  # 80 % for the label 0, which four of five examples have
    entry = run_evaluation(CalibrationEvaluation("valid"), make_optimization(x, torch.tensor([0, 0, 0, 0, 1])))
    assert entry.value["ece"] == pytest.approx(0.0, abs=1e-6)


def test_certain_and_wrong_predictions_have_the_greatest_error() -> None:
    x = torch.tensor([[60.0, 0.0]]).expand(4, 2)
    entry = run_evaluation(CalibrationEvaluation("valid"), make_optimization(x, torch.ones(4, dtype=torch.long)))
    assert entry.value == {"ece": pytest.approx(1.0), "nll": pytest.approx(60.0)}


def test_a_label_that_the_model_does_not_know_has_an_infinite_loss() -> None:
    entry = run_evaluation(CalibrationEvaluation("valid"), make_optimization(torch.zeros(2, 3), torch.tensor([0, 3])))
    assert entry.value["nll"] == float("inf")


def test_the_diagram_has_the_error_and_the_accuracy_of_each_bin() -> None:
    x, y = make_examples()
    entry = run_evaluation(ReliabilityDiagramEvaluation("valid", n_bins=10), make_optimization(x, y))
    assert entry.data_type == PLOT_ENTRY
    diagram, histogram = entry.value.axes
    assert diagram.get_title() == f"Expected calibration error {compute_error_in_loops(x, y, 10):.2%}"
    confidence, predicted = x.softmax(1).max(1)
    for index, (bar, count) in enumerate(zip(diagram.patches, histogram.patches)):
        inside = (confidence > index / 10) & (confidence <= (index + 1) / 10)
        assert count.get_height() == inside.sum()
        expected = (predicted == y)[inside].double().mean().item() if inside.any() else 0.0
        assert bar.get_height() == pytest.approx(expected)


@pytest.mark.parametrize("evaluation", [CalibrationEvaluation("valid"), ReliabilityDiagramEvaluation("valid")])
def test_negative_and_missing_labels_are_refused(evaluation: Any) -> None:
    with pytest.raises(ValueError, match="Labels `y` must be non-negative, got -1"):
        run_evaluation(evaluation, make_optimization(torch.zeros(2, 3), torch.tensor([0, -1])))
    without = TinyOptimization(LogitModel(), {"valid": [(torch.zeros(3),)]})
    with pytest.raises(ValueError, match="has no labels"):
        check_requirements(evaluation, without)


@pytest.mark.parametrize("evaluation", [CalibrationEvaluation, ReliabilityDiagramEvaluation])
@pytest.mark.parametrize("name", ["n_samples", "n_latent_samples", "n_bins"])
@pytest.mark.parametrize("number", [0, "many"])
def test_a_bad_number_is_refused(evaluation: Any, name: str, number: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=f"`{name}` must be"):
        evaluation("valid", **{name: number})
