"""Linear probe of a representation."""

from torch import Tensor

from frame_core import check_positive
from frame_eval.representations.logistic_regression import fit_logistic_regression
from frame_eval.representations.probe import ProbeEvaluation


class LinearProbeEvaluation(ProbeEvaluation):
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

    def __init__(
        self, evaluate_on: str, train_on: str = "train", n_train: int = 10_000, regularization: float = 1.0
    ) -> None:
        super().__init__(evaluate_on, train_on, n_train)
        self.regularization = check_positive("regularization", regularization)

    def predict(self, z: Tensor, z_train: Tensor, y_train: Tensor) -> Tensor:
        return fit_logistic_regression(z_train, y_train, self.regularization).predict(z)
