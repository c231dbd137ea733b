"""Confusion matrix of a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from frame_core import PLOT_ENTRY, ClassificationModel, Evaluation, LogEntry, Optimization, check_count
from frame_eval.batches import check_n_samples
from frame_eval.labels import check_labels, check_lowest_label
from frame_eval.predictions import Predictions, predict_split

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_ANNOTATED = 20
"""Maximum number of labels for which numbers fit into the cells."""


class ConfusionMatrixEvaluation(Evaluation):
    """Confusion matrix: the number of examples with each true and each predicted label.

    Rows are true labels and columns are predicted labels. Each cell has the number of examples and their
    fraction of the row, which sets its color. Empty cells are blank.

    Args:
        evaluate_on: Name of the split. Its examples must have labels.
        n_samples: Number of examples, drawn at random, but the same every time. None, or more than the split has,
            means all.
        n_latent_samples: Number of random draws per example, over which a stochastic classifier averages its
            predicted probabilities.

    Raises:
        TypeError: ``n_samples`` or ``n_latent_samples`` is not an integer.
        ValueError: ``n_samples`` or ``n_latent_samples`` is not positive.
    """

    requires = ClassificationModel

    def __init__(self, evaluate_on: str, n_samples: int | None = None, n_latent_samples: int = 1) -> None:
        self.evaluate_on = evaluate_on
        self.n_samples = check_n_samples(n_samples)
        self.n_latent_samples = check_count("n_latent_samples", n_latent_samples)

    def check(self, optimization: Optimization) -> None:
        """Check that the examples have labels.

        Raises:
            ValueError: They have no labels.
        """
        check_labels(optimization, self.evaluate_on)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Compute and draw the matrix.

        Raises:
            TypeError: The model does not return a categorical distribution.
            ValueError: The split is missing, empty or without labels, or a label is negative.
        """
        predictions = predict_split(optimization, self.evaluate_on, self.n_samples, self.n_latent_samples)
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
