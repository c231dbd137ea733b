"""Confusion matrix of a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from frame_core import PLOT_ENTRY, LogEntry
from frame_eval.predictions.base import PredictionEvaluation, Predictions
from frame_eval.predictions.labels import check_lowest_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_ANNOTATED = 20
"""Maximum number of labels for which numbers fit into the cells."""


class ConfusionMatrixEvaluation(PredictionEvaluation):
    """Confusion matrix: the number of examples with each true and each predicted label.

    Rows are true labels and columns are predicted labels. Each cell has the number of examples and their
    fraction of the row, which sets its color. Empty cells are blank.

    The arguments are those of `PredictionEvaluation`.
    """

    def summarize(self, predictions: Predictions) -> LogEntry:
        return LogEntry(data_type=PLOT_ENTRY, value=_draw(count_confusions(predictions)))


def count_confusions(predictions: Predictions) -> Tensor:
    """Count the examples with each true label (row) and each predicted label (column).

    Returns:
        An integer tensor of shape (n_labels, n_labels), on the CPU. It includes labels that the data have
        and the model does not predict.

    Raises:
        ValueError: A label is negative.
    """
    true, predicted = torch.stack([predictions.true, predictions.predicted]).cpu()
    lowest, highest = (int(label) for label in true.aminmax())
    check_lowest_label(lowest)
    n_labels = max(predictions.n_labels, highest + 1)
    return torch.bincount(true * n_labels + predicted, minlength=n_labels**2).view(n_labels, n_labels)


def _draw(counts: Tensor) -> Figure:
    from matplotlib.figure import Figure  # imported here because it is slow

    rates = counts.double() / counts.sum(1, keepdim=True).clamp(min=1)
    figure = Figure(figsize=(7.5, 6.5), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(rates.tolist(), cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, label="Fraction of the examples with the true label", shrink=0.8)
    axes.set(xlabel="Predicted label", ylabel="True label")
    n_correct, n_data = int(counts.trace()), int(counts.sum())
    axes.set_title(f"{n_correct:,} of {n_data:,} examples predicted correctly ({n_correct / n_data:.1%})")
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
