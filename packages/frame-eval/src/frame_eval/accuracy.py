"""Accuracy of a classifier."""

import torch

from frame_core import SCALAR_ENTRY, ClassificationModel, Evaluation, LogEntry, Optimization, check_count
from frame_eval.batches import check_n_samples
from frame_eval.labels import check_labels, check_lowest_label
from frame_eval.predictions import predict_split


class AccuracyEvaluation(Evaluation):
    """Fraction of the examples of a split whose most probable label is the true one.

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
        """Compute the fraction of correct predictions.

        Raises:
            TypeError: The model does not return a categorical distribution.
            ValueError: The split is missing, empty or without labels, or a label is negative.
        """
        predictions = predict_split(optimization, self.evaluate_on, self.n_samples, self.n_latent_samples)
        n_correct = (predictions.predicted == predictions.true).sum()
        n_correct = int(torch.where((predictions.true < 0).any(), -1, n_correct))  # one transfer from the device
        if n_correct < 0:
            check_lowest_label(int(predictions.true.min()))
        return LogEntry(data_type=SCALAR_ENTRY, value=n_correct / len(predictions.true))
