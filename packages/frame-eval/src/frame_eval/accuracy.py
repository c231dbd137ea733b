"""How often a classifier is right."""

from frame_core import SCALAR_ENTRY, ClassificationModel, Evaluation, LogEntry, Optimization, check_count
from frame_eval.labels import check_labels
from frame_eval.predictions import predict_split


class AccuracyEvaluation(Evaluation):
    """Fraction of the data of a split whose most probable label is their own.

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
        """Count the data whose label is predicted.

        Raises:
            TypeError: The model gives another distribution than a categorical one.
            ValueError: The data have no such split, nothing in it, or no labels.
        """
        predictions = predict_split(optimization, self.evaluate_on, self.n_samples)
        n_correct = (predictions.predicted == predictions.true).sum()
        return LogEntry(data_type=SCALAR_ENTRY, value=int(n_correct) / len(predictions.true))
