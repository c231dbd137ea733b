"""Rejection curve of a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from frame_core import PLOT_ENTRY, LogEntry
from frame_eval.predictions.base import PredictionEvaluation, Predictions
from frame_eval.predictions.labels import check_lowest_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class RejectionCurveEvaluation(PredictionEvaluation):
    """Rejection curve: the accuracy of the most confident predictions, by the fraction of the others.

    The confidence of a prediction is the probability of the predicted label. The curve of a classifier that is least
    confident where it errs rises fast. It is drawn beside that of the best order, which rejects the errors first, and
    of a random order, which is constant.

    The arguments are those of `PredictionEvaluation`.

    References:
        Selective Classification for Deep Neural Networks (Geifman & El-Yaniv, 2017), https://arxiv.org/abs/1705.08500
    """

    def summarize(self, predictions: Predictions) -> LogEntry:
        check_lowest_label(int(predictions.true.min()))
        return LogEntry(data_type=PLOT_ENTRY, value=_draw(predictions))


def compute_rejection_curve(correct: Tensor, confidence: Tensor) -> Tensor:
    """Compute the accuracy of the k most confident predictions, for k = 1, …, n_data.

    Args:
        correct: Whether each prediction is correct, a boolean tensor of shape (n_data,).
        confidence: Tensor of shape (n_data,).

    Returns:
        Tensor of shape (n_data,) in double precision, with all predictions at the end.
    """
    ordered = correct[confidence.argsort(descending=True, stable=True)].double()
    return ordered.cumsum(0) / torch.arange(1, len(ordered) + 1, device=ordered.device)


def _draw(predictions: Predictions) -> Figure:
    from matplotlib.figure import Figure  # imported here because it is slow

    correct = (predictions.predicted == predictions.true).cpu()
    n_data = len(correct)
    rejected = [1 - k / n_data for k in range(1, n_data + 1)]
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for order, label, style in ((predictions.confidence.cpu(), "By confidence", "-"), (correct, "Errors first", "--")):
        axes.plot(rejected, compute_rejection_curve(correct, order).tolist(), style, label=label)
    axes.axhline(correct.double().mean().item(), linestyle=":", color="gray", label="At random")
    axes.set(xlabel="Fraction of rejected examples", ylabel="Accuracy of the others", xlim=(0, 1))
    axes.legend(loc="lower right")
    return figure
