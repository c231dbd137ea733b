"""Which labels a classifier takes for which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from frame_core import PLOT_ENTRY, ClassificationModel, Evaluation, LogEntry, Optimization, check_count
from frame_eval.labels import check_labels
from frame_eval.predictions import Predictions, predict_split

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_ANNOTATED = 20
"""Number of labels up to which there is room for the numbers."""


class ConfusionMatrixEvaluation(Evaluation):
    """Confusion matrix: how many data of each label are given which most probable label.

    A row for each true label, a column for each predicted one; in each cell the number of data and their
    fraction of the row, which colours it. Empty cells are left blank.

    Args:
        evaluate_on: Name of the split; its data have labels.
        n_samples: Number of random draws for each datum over which a stochastic classifier averages the
            probabilities that it predicts.

    Raises:
        TypeError: ``n_samples`` is no integer.
        ValueError: ``n_samples`` is not positive.
    """

    requires = ClassificationModel

    def __init__(self, evaluate_on: str, n_samples: int = 1) -> None:
        self.evaluate_on = evaluate_on
        self.n_samples = check_count("n_samples", n_samples)

    def check(self, optimization: Optimization) -> None:
        """Check that the data have labels.

        Raises:
            ValueError: They have none.
        """
        check_labels(optimization, self.evaluate_on)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Draw the matrix.

        Raises:
            TypeError: The model gives another distribution than a categorical one.
            ValueError: The data have no such split, nothing in it, or no labels, or negative ones.
        """
        predictions = predict_split(optimization, self.evaluate_on, self.n_samples)
        return LogEntry(data_type=PLOT_ENTRY, value=_draw(count_confusions(predictions)))


def count_confusions(predictions: Predictions) -> Tensor:
    """Count the data of each true label (row) that were given each label (column).

    Returns:
        An integer tensor of shape (n_labels, n_labels), on the CPU; it has room for labels that the data
        have and the model does not know.

    Raises:
        ValueError: A label is negative.
    """
    true, predicted = torch.stack([predictions.true, predictions.predicted]).cpu()
    lowest, highest = (int(label) for label in true.aminmax())
    if lowest < 0:
        raise ValueError(f"Labels `y` must not be negative to have a row in a confusion matrix, got {lowest}.")
    n_labels = max(predictions.n_labels, highest + 1)
    return torch.bincount(true * n_labels + predicted, minlength=n_labels**2).view(n_labels, n_labels)


def _draw(counts: Tensor) -> Figure:
    from matplotlib.figure import Figure  # here: it is slow to import

    rates = counts.double() / counts.sum(1, keepdim=True).clamp(min=1)
    figure = Figure(figsize=(7.5, 6.5), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(rates.tolist(), cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(picture, label="Fraction of the data of the true label", shrink=0.8)
    axes.set(xlabel="Predicted label", ylabel="True label")
    n_correct, n_data = int(counts.trace()), int(counts.sum())
    axes.set_title(f"{n_correct:,} of {n_data:,} data predicted correctly ({n_correct / n_data:.1%})")
    if len(counts) <= N_ANNOTATED:
        axes.set(xticks=range(len(counts)), yticks=range(len(counts)))
        _annotate(axes, counts, rates)
    return figure


def _annotate(axes: Axes, counts: Tensor, rates: Tensor) -> None:
    """Write the count and the rate into each cell that is not empty."""
    size = 8 if len(counts) <= 10 else 5
    for row, column in counts.nonzero().tolist():
        rate = float(rates[row, column])
        color = "white" if rate > 0.5 else "black"
        text = f"{int(counts[row, column])}\n{rate:.1%}"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=size)
