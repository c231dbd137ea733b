"""Rejection curve of a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from frame_core import PLOT_ENTRY, ClassificationModel, Evaluation, LogEntry, Optimization, check_count
from frame_eval.batches import check_n_samples
from frame_eval.labels import check_labels, check_lowest_label
from frame_eval.predictions import Predictions, predict_split

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class RejectionCurveEvaluation(Evaluation):
    """Rejection curve: the accuracy of the most confident predictions, by the fraction of the others.

    The confidence of a prediction is the probability of the predicted label. The curve of a classifier that is least
    confident where it errs rises fast. It is drawn beside that of the best order, which rejects the errors first, and
    of a random order, which is constant.

    Args:
        evaluate_on: Name of the split. Its examples must have labels.
        n_samples: Number of examples, drawn at random, but the same every time. None, or more than the split has,
            means all.
        n_latent_samples: Number of random draws per example, over which a stochastic classifier averages its
            predicted probabilities.

    Raises:
        TypeError: A number is not an integer.
        ValueError: A number is not positive.

    References:
        Selective Classification for Deep Neural Networks (Geifman & El-Yaniv, 2017), https://arxiv.org/abs/1705.08500
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
        """Draw the curve.

        Raises:
            TypeError: The model does not return a categorical distribution.
            ValueError: The split is missing, empty or without labels, or a label is negative.
        """
        predictions = predict_split(optimization, self.evaluate_on, self.n_samples, self.n_latent_samples)
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
