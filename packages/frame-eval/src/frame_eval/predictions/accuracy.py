"""Accuracy of a classifier."""

import torch

from frame_core import SCALAR_ENTRY, LogEntry
from frame_eval.predictions.base import PredictionEvaluation, Predictions
from frame_eval.predictions.labels import check_lowest_label


class AccuracyEvaluation(PredictionEvaluation):
    """Fraction of the examples of a split whose most probable label is the true one.

    The arguments are those of `PredictionEvaluation`.
    """

    def summarize(self, predictions: Predictions) -> LogEntry:
        n_correct = (predictions.predicted == predictions.true).sum()
        n_correct = int(torch.where((predictions.true < 0).any(), -1, n_correct))  # one transfer from the device
        if n_correct < 0:
            check_lowest_label(int(predictions.true.min()))
        return LogEntry(data_type=SCALAR_ENTRY, value=n_correct / len(predictions.true))
