"""Separated attribute predictability of a representation."""

import torch
from torch import Tensor

from frame_core import SCALAR_ENTRY, LogEntry, Optimization
from frame_eval.extras import import_extra
from frame_eval.representations.factors import FactorEvaluation, encode_with_factors, split_in_half


class SAPEvaluation(FactorEvaluation):
    """Separated attribute predictability (SAP): how much better one latent dimension predicts a factor than any other.

    It requires scikit-learn. A linear support vector machine predicts each known factor from the mean of each latent
    dimension. It is fitted to a random half of the examples of each value, and its accuracy is that on the others. The
    score of a factor is the difference of the two largest accuracies. The result is the mean over the factors.

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

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Compute the score.

        Raises:
            ModuleNotFoundError: scikit-learn is not installed.
            TypeError: The representation has no mean.
            ValueError: There is one latent dimension, a factor has one value, or another one for each example, or a
                representation is not finite.
        """
        z, factors = encode_with_factors(optimization, self.evaluate_on)
        self.check_dimensions(z.shape[1])
        largest = compute_accuracies(z, factors).topk(2).values
        return LogEntry(data_type=SCALAR_ENTRY, value=(largest[:, 0] - largest[:, 1]).mean())


def compute_accuracies(z: Tensor, factors: Tensor) -> Tensor:
    """Compute the accuracy of a linear classifier of each factor from each latent dimension.

    Args:
        z: Representations of shape (n_examples, z_dim).
        factors: Integer tensor of shape (n_examples, n_factors).

    Returns:
        Tensor of shape (n_factors, z_dim).
    """
    make_classifier = import_extra("sklearn.svm", "scikit-learn", "SAPEvaluation").LinearSVC
    z, factors = z.cpu(), factors.cpu()
    accuracies: list[list[float]] = []
    for factor in factors.unbind(1):
        fit, test = split_in_half(factor)
        accuracies.append([])
        for x in z.split(1, dim=1):
            classifier = make_classifier(C=0.01, class_weight="balanced").fit(x[fit].numpy(), factor[fit].numpy())
            accuracies[-1].append(float(classifier.score(x[test].numpy(), factor[test].numpy())))
    return torch.tensor(accuracies)
