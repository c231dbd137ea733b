from collections.abc import Mapping
from io import BytesIO
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix
from torch import Tensor
from torch.distributions import Categorical, Distribution

from frame_core import PLOT_ENTRY, ClassificationModel, check_requirements, run_evaluation
from frame_core.testing import TinyOptimization
from frame_eval import AccuracyEvaluation, ConfusionMatrixEvaluation


class ReadingModel(ClassificationModel):
    """Reads the label from the example."""

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        self.n_labels = n_labels

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"loss": data["x"].mean()}

    def classify(self, data: Mapping[str, Tensor], n_samples: int = 1) -> Distribution:
        self.n_samples = n_samples
        return Categorical(torch.eye(self.n_labels)[data["x"].flatten().long()])


def draw(predicted: list[int], true: list[int], n_labels: int) -> Figure:
    data = {"valid": [{"x": torch.tensor([float(x)]), "y": torch.tensor(y)} for x, y in zip(predicted, true)]}
    optimization = TinyOptimization(model=ReadingModel(n_labels), data=data)
    entry = run_evaluation(ConfusionMatrixEvaluation("valid"), optimization)
    assert entry.data_type == PLOT_ENTRY
    assert isinstance(entry.value, Figure)
    entry.value.savefig(BytesIO(), format="png")
    return entry.value


def draw_random(n_data: int, n_labels: int) -> tuple[Figure, Any]:
    generator = torch.Generator().manual_seed(0)
    predicted, true = torch.randint(n_labels, (2, n_data), generator=generator).tolist()
    return draw(predicted, true, n_labels), confusion_matrix(true, predicted, labels=range(n_labels))


def read_cells(figure: Figure) -> dict[tuple[float, float], str]:
    """Return the text of each (row, column)."""
    return {text.get_position()[::-1]: text.get_text() for text in figure.axes[0].texts}


@pytest.mark.parametrize(("n_data", "n_labels"), [(1, 2), (30, 4), (500, 10), (2000, 20)])
def test_cells_hold_the_counts_and_the_fractions_of_their_row(n_data: int, n_labels: int) -> None:
    figure, expected = draw_random(n_data, n_labels)
    assert read_cells(figure) == {
        (row, column): f"{count}\n{count / expected[row].sum():.1%}"
        for row in range(n_labels)
        for column in range(n_labels)
        if (count := expected[row, column])
    }


def test_color_is_the_fraction_of_the_row() -> None:
    figure, expected = draw_random(500, 10)
    rates = torch.from_numpy(expected / expected.sum(1, keepdims=True)).float()
    torch.testing.assert_close(torch.tensor(figure.axes[0].images[0].get_array()).float(), rates)


def test_title_has_the_number_of_correct_predictions() -> None:
    figure = draw(predicted=[0, 1, 1, 2], true=[0, 1, 1, 0], n_labels=3)
    assert figure.axes[0].get_title() == "3 of 4 examples predicted correctly (75.0%)"


def test_label_without_examples_has_an_empty_row() -> None:
    figure = draw(predicted=[0, 0], true=[0, 2], n_labels=3)
    assert read_cells(figure) == {(0, 0): "1\n100.0%", (2, 0): "1\n100.0%"}


def test_label_that_the_model_does_not_predict_has_a_row() -> None:
    figure = draw(predicted=[0, 1], true=[0, 4], n_labels=2)
    assert read_cells(figure) == {(0, 0): "1\n100.0%", (4, 1): "1\n100.0%"}


def test_many_labels_are_colored_without_numbers() -> None:
    figure, expected = draw_random(2000, 50)
    assert not figure.axes[0].texts
    assert figure.axes[0].images[0].get_array().shape == expected.shape


def test_number_of_samples_reaches_the_model() -> None:
    model = ReadingModel(2)
    data = {"valid": [(torch.zeros(1), 0)]}
    run_evaluation(ConfusionMatrixEvaluation("valid", n_latent_samples=5), TinyOptimization(model=model, data=data))
    assert model.n_samples == 5


def test_negative_label_is_refused() -> None:
    data = {"valid": [(torch.zeros(1), 0), (torch.zeros(1), -1)]}
    for evaluation in (AccuracyEvaluation("valid"), ConfusionMatrixEvaluation("valid")):
        with pytest.raises(ValueError, match="Labels `y` must be non-negative, got -1"):
            run_evaluation(evaluation, TinyOptimization(model=ReadingModel(2), data=data))


def test_examples_without_labels_are_refused() -> None:
    optimization = TinyOptimization(model=ReadingModel(2), data={"valid": [(torch.zeros(1),)]})
    with pytest.raises(ValueError, match="Split 'valid' of `data` has no labels"):
        check_requirements(ConfusionMatrixEvaluation("valid"), optimization)


def test_bad_number_of_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="`n_latent_samples` must be positive, got 0"):
        ConfusionMatrixEvaluation("valid", n_latent_samples=0)
