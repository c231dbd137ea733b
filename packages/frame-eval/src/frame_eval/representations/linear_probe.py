"""Linear probe of a representation."""

from frame_core import (
    SCALAR_ENTRY,
    Evaluation,
    LogEntry,
    Optimization,
    RepresentationLearningModel,
    check_count,
    check_positive,
)
from frame_eval.predictions.labels import check_labels, require_labels
from frame_eval.representations.encoding import encode_split
from frame_eval.representations.logistic_regression import fit_logistic_regression


class LinearProbeEvaluation(Evaluation):
    """Accuracy of a linear classifier of the representation.

    A logistic regression of the label on the standardized mean of q(z | x) is trained on one split and
    tested on another. The model itself is not trained.

    Args:
        evaluate_on: Name of the split on which the classifier is tested, using all its examples.
        train_on: Name of the split on which it is trained.
        n_train: Number of training examples, drawn at random, but the same every time. More than the split has
            means all.
        regularization: Weight of the L2 penalty relative to the sum of the losses. For three or more labels it is
            the inverse of scikit-learn's ``C``.

    Raises:
        TypeError: ``n_train`` is not an integer, or ``regularization`` is not a number.
        ValueError: One of them is not positive, or ``regularization`` is not finite.

    References:
        Understanding intermediate layers using linear classifier probes (Alain & Bengio, 2017),
        https://arxiv.org/abs/1610.01644
    """

    requires = RepresentationLearningModel

    def __init__(
        self, evaluate_on: str, train_on: str = "train", n_train: int = 10_000, regularization: float = 1.0
    ) -> None:
        self.evaluate_on = evaluate_on
        self.train_on = train_on
        self.n_train = check_count("n_train", n_train)
        self.regularization = check_positive("regularization", regularization)

    def check(self, optimization: Optimization) -> None:
        """Check that both splits have labels.

        Raises:
            ValueError: A split is missing, empty or without labels.
        """
        for split in (self.train_on, self.evaluate_on):
            check_labels(optimization, split)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Train the classifier and test it.

        Raises:
            TypeError: The representation has no mean.
            ValueError: A split is missing, empty or without labels, or a representation is not finite.
        """
        z, y = encode_split(optimization, self.train_on, self.n_train)
        classifier = fit_logistic_regression(z, require_labels(y, self.train_on), self.regularization)
        z, y = encode_split(optimization, self.evaluate_on)
        n_correct = (classifier.predict(z) == require_labels(y, self.evaluate_on)).sum()
        return LogEntry(data_type=SCALAR_ENTRY, value=int(n_correct) / len(z))
