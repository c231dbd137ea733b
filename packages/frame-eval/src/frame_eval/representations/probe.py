"""Base class of the probes of a representation."""

from abc import abstractmethod

from torch import Tensor

from frame_core import SCALAR_ENTRY, Evaluation, LogEntry, Optimization, RepresentationLearningModel, check_count
from frame_eval.predictions.labels import check_labels, require_labels
from frame_eval.representations.encoding import encode_split


class ProbeEvaluation(Evaluation):
    """Accuracy of a classifier of the representation, the mean of q(z | x). The model itself is not trained.

    Args:
        evaluate_on: Name of the split on which the classifier is tested, using all its examples.
        train_on: Name of the split from which it learns.
        n_train: Number of its examples, drawn at random, but the same every time. More than the split has means all.

    Raises:
        TypeError: ``n_train`` is not an integer.
        ValueError: ``n_train`` is not positive.
    """

    requires = RepresentationLearningModel

    def __init__(self, evaluate_on: str, train_on: str, n_train: int) -> None:
        self.evaluate_on = evaluate_on
        self.train_on = train_on
        self.n_train = check_count("n_train", n_train)

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
        z_train, y_train = encode_split(optimization, self.train_on, self.n_train)
        z, y = encode_split(optimization, self.evaluate_on)
        predicted = self.predict(z, z_train, require_labels(y_train, self.train_on))
        n_correct = (predicted == require_labels(y, self.evaluate_on)).sum()
        return LogEntry(data_type=SCALAR_ENTRY, value=int(n_correct) / len(z))

    @abstractmethod
    def predict(self, z: Tensor, z_train: Tensor, y_train: Tensor) -> Tensor:
        """Predict the labels of representations from those of others.

        Args:
            z: Tensor of shape (n_data, z_dim).
            z_train: Tensor of shape (n_train, z_dim).
            y_train: Integer tensor of shape (n_train,).

        Returns:
            Integer tensor of shape (n_data,).
        """
