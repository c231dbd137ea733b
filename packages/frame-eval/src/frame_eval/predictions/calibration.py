"""Calibration of a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from frame_core import (
    PLOT_ENTRY,
    SCALARS_ENTRY,
    LogEntry,
    check_count,
)
from frame_eval.predictions.base import PredictionEvaluation, Predictions
from frame_eval.predictions.labels import check_lowest_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class CalibrationEvaluation(PredictionEvaluation):
    """Expected calibration error and negative log-likelihood of a classifier.

    The confidence of a prediction is the probability of the predicted label. ``ece`` is the mean over examples of
    |accuracy - mean confidence| of all examples in the same bin of confidence. ``nll`` is the mean of minus the log
    probability of the true label, in nats.

    Args:
        n_bins: Number of bins of equal width, from a confidence of 0 to 1.

    The other arguments are those of `PredictionEvaluation`.

    Raises:
        TypeError: A number is not an integer.
        ValueError: A number is not positive.

    References:
        On Calibration of Modern Neural Networks (Guo et al., 2017), https://arxiv.org/abs/1706.04599
    """

    def __init__(
        self, evaluate_on: str, n_samples: int | None = None, n_latent_samples: int = 1, n_bins: int = 15
    ) -> None:
        super().__init__(evaluate_on, n_samples, n_latent_samples)
        self.n_bins = check_count("n_bins", n_bins)

    def summarize(self, predictions: Predictions) -> LogEntry:
        check_lowest_label(int(predictions.true.min()))
        error = compute_calibration_error(count_by_confidence(predictions, self.n_bins))
        nll = -predictions.log_likelihood.mean()
        return LogEntry(data_type=SCALARS_ENTRY, value={"ece": error.item(), "nll": nll.item()})


class ReliabilityDiagramEvaluation(PredictionEvaluation):
    """Reliability diagram: the accuracy of the examples in each bin of confidence, beside their mean confidence.

    Args:
        n_bins: Number of bins of equal width, from a confidence of 0 to 1.

    The other arguments are those of `PredictionEvaluation`.

    Raises:
        TypeError: A number is not an integer.
        ValueError: A number is not positive.

    References:
        On Calibration of Modern Neural Networks (Guo et al., 2017), https://arxiv.org/abs/1706.04599
    """

    def __init__(
        self, evaluate_on: str, n_samples: int | None = None, n_latent_samples: int = 1, n_bins: int = 15
    ) -> None:
        super().__init__(evaluate_on, n_samples, n_latent_samples)
        self.n_bins = check_count("n_bins", n_bins)

    def summarize(self, predictions: Predictions) -> LogEntry:
        check_lowest_label(int(predictions.true.min()))
        return LogEntry(data_type=PLOT_ENTRY, value=_draw(count_by_confidence(predictions, self.n_bins)))


@dataclass(frozen=True)
class ConfidenceBins:
    """Examples by the confidence of their prediction, in bins of equal width: tensors of shape (n_bins,)."""

    n_examples: Tensor
    accuracy: Tensor
    """Fraction of correct predictions; 0 in an empty bin."""

    confidence: Tensor
    """Mean confidence; 0 in an empty bin."""


def count_by_confidence(predictions: Predictions, n_bins: int) -> ConfidenceBins:
    """Sort predictions into bins (0, 1 / n_bins], (1 / n_bins, 2 / n_bins], … of confidence.

    Returns:
        The bins, in double precision and on the CPU.
    """
    confidence = predictions.confidence.double().cpu()
    correct = (predictions.predicted == predictions.true).double().cpu()
    index = ((confidence * n_bins).ceil().long() - 1).clamp(0, n_bins - 1)
    n_examples, n_correct, total = (
        torch.zeros(n_bins, dtype=torch.float64).index_add(0, index, values)
        for values in (torch.ones_like(correct), correct, confidence)
    )
    n_or_one = n_examples.clamp(min=1)
    return ConfidenceBins(n_examples, n_correct / n_or_one, total / n_or_one)


def compute_calibration_error(bins: ConfidenceBins) -> Tensor:
    """Compute the mean of |accuracy - confidence| over bins, weighted by their number of examples."""
    gap = (bins.accuracy - bins.confidence).abs()
    return (bins.n_examples * gap).sum() / bins.n_examples.sum()


def _draw(bins: ConfidenceBins) -> Figure:
    from matplotlib.figure import Figure  # imported here because it is slow

    width = 1 / len(bins.n_examples)
    edges = [width * index for index in range(len(bins.n_examples))]
    figure = Figure(figsize=(5, 6), layout="constrained")
    diagram, histogram = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    diagram.bar(edges, bins.accuracy.tolist(), width, align="edge", edgecolor="white", label="Accuracy")
    filled = bins.n_examples > 0
    diagram.plot(
        bins.confidence[filled].tolist(), bins.accuracy[filled].tolist(), "o", color="black", label="Mean confidence"
    )
    diagram.plot([0, 1], [0, 1], "--", color="gray", label="Perfect calibration")
    diagram.set(xlim=(0, 1), ylim=(0, 1), ylabel="Accuracy")
    diagram.set_title(f"Expected calibration error {compute_calibration_error(bins):.2%}")
    diagram.legend(loc="upper left")
    histogram.bar(edges, bins.n_examples.tolist(), width, align="edge", edgecolor="white")
    histogram.set(xlabel="Confidence", ylabel="Examples")
    return figure
