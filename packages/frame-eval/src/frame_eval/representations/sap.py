"""Separated attribute predictability of a representation."""

import torch
from torch import Tensor

from frame_core import SCALAR_ENTRY, Evaluation, LogEntry, Optimization, RepresentationLearningModel
from frame_eval.extras import import_extra
from frame_eval.representations.factors import check_factors, encode_with_factors, split_in_half


class SAPEvaluation(Evaluation):
    """Separated attribute predictability (SAP): how much better one latent dimension predicts a factor than any other.

    It requires scikit-learn. A linear support vector machine predicts each known factor from the mean of each latent
    dimension. It is fitted to a random half of the examples, and its accuracy is that on the other half. The score of a
    factor is the difference of the two largest accuracies. The result is the mean over the factors.

    It is 0 if each factor is in two dimensions equally, or in none. The largest value is below 1, because a dimension
    without information has the accuracy of chance: it is 1/2 for binary factors. A linear classifier of one dimension
    confuses some of many ordered values, which lowers the score.

    The classifier and its settings are those of ``disentanglement_lib`` for discrete factors. Each example of the split
    needs ``factors``, a vector of integers.

    Args:
        evaluate_on: Name of the split, of which all examples are used.

    References:
        Variational Inference of Disentangled Latent Concepts from Unlabeled Observations (Kumar et al., 2018),
        https://arxiv.org/abs/1711.00848

        Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations
        (Locatello et al., 2019), https://arxiv.org/abs/1811.12359
    """

    requires = RepresentationLearningModel

    def __init__(self, evaluate_on: str) -> None:
        self.evaluate_on = evaluate_on

    def check(self, optimization: Optimization) -> None:
        """Check that the split has factors.

        Raises:
            ValueError: The split is missing, empty or without factors.
        """
        check_factors(optimization, self.evaluate_on)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Compute the score.

        Raises:
            ModuleNotFoundError: scikit-learn is not installed.
            TypeError: The representation has no mean.
            ValueError: There is one latent dimension, a factor has one value, or a representation is not finite.
        """
        z, factors = encode_with_factors(optimization, self.evaluate_on)
        if z.shape[1] < 2:
            raise ValueError("`SAPEvaluation` needs a representation of two dimensions or more, got one.")
        fit, test = split_in_half(z, factors, self.evaluate_on)
        largest = compute_accuracies(fit, test).topk(2).values
        return LogEntry(data_type=SCALAR_ENTRY, value=(largest[:, 0] - largest[:, 1]).mean())


def compute_accuracies(fit: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> Tensor:
    """Compute the accuracy of a linear classifier of each factor from each latent dimension.

    Args:
        fit: Representations (n_fit, z_dim) and factors (n_fit, n_factors) that the classifiers are fitted to.
        test: Others that they are tested on.

    Returns:
        Tensor of shape (n_factors, z_dim).
    """
    make_classifier = import_extra("sklearn.svm", "scikit-learn", "SAPEvaluation").LinearSVC
    (z_fit, factors_fit), (z_test, factors_test) = ([part.cpu().numpy() for part in half] for half in (fit, test))
    accuracies = [
        [
            float(make_classifier(C=0.01, class_weight="balanced").fit(x_fit, factor_fit).score(x_test, factor_test))
            for x_fit, x_test in zip(z_fit.T[:, :, None], z_test.T[:, :, None])
        ]
        for factor_fit, factor_test in zip(factors_fit.T, factors_test.T)
    ]
    return torch.tensor(accuracies)
