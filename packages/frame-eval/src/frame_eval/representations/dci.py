"""Disentanglement, completeness and informativeness of a representation."""

from math import log

import torch
from torch import Tensor

from frame_core import SCALARS_ENTRY, LogEntry, Optimization
from frame_eval.extras import import_extra
from frame_eval.representations.factors import FactorEvaluation, encode_with_factors, split_in_half


class DCIEvaluation(FactorEvaluation):
    """Disentanglement, completeness and informativeness (DCI) of a representation. It requires scikit-learn.

    A random forest for each known factor predicts the factor from the mean of q(z | x). It is fitted to a random half
    of the examples of each value and tested on the others. The importance of a latent dimension for a factor is the
    impurity that the dimension removes.

    - ``disentanglement``: 1 if each dimension is important for one factor, 0 if it is for all factors equally
    - ``completeness``: 1 if one dimension is important for each factor, 0 if all dimensions are, equally
    - ``informativeness``: the accuracy of the forests on the examples of the test, averaged over the factors

    The first two are one minus the normalized entropy of the importances, averaged with the importances as weights. The
    forests have 50 trees whose leaves have ten examples or more; the paper chooses the depth by validation. Each
    example of the split needs ``factors``, a vector of integers.

    Args:
        evaluate_on: Name of the split, of which all examples are used.

    References:
        A Framework for the Quantitative Evaluation of Disentangled Representations (Eastwood & Williams, 2018),
        https://openreview.net/forum?id=By-7dz-AZ
    """

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Compute the three numbers.

        Raises:
            ModuleNotFoundError: scikit-learn is not installed.
            TypeError: The representation has no mean.
            ValueError: There is one factor or one latent dimension, a factor has one value, or another one for each
                example, or a representation is not finite.
        """
        z, factors = encode_with_factors(optimization, self.evaluate_on)
        self.check_dimensions(z.shape[1])
        if factors.shape[1] < 2:
            raise ValueError(f"`DCIEvaluation` needs `factors` of two elements or more, got {factors.shape[1]}.")
        importances, accuracy = fit_forests(z, factors)
        value = {
            "disentanglement": compute_concentration(importances),
            "completeness": compute_concentration(importances.T),
            "informativeness": accuracy,
        }
        return LogEntry(data_type=SCALARS_ENTRY, value=value)


def fit_forests(z: Tensor, factors: Tensor) -> tuple[Tensor, float]:
    """Predict each factor from a representation, with half of the examples to fit and half to test.

    Args:
        z: Representations of shape (n_examples, z_dim).
        factors: Integer tensor of shape (n_examples, n_factors).

    Returns:
        The importances, of shape (z_dim, n_factors), and the mean accuracy of the test. The importances for a factor
        sum to one, or to zero if no dimension has any.
    """
    make_forest = import_extra("sklearn.ensemble", "scikit-learn", "DCIEvaluation").RandomForestClassifier
    z, factors = z.cpu(), factors.cpu()
    importances: list[Tensor] = []
    accuracies: list[float] = []
    for factor in factors.unbind(1):
        fit, test = split_in_half(factor)
        forest = make_forest(n_estimators=50, min_samples_leaf=10, max_features=None, random_state=0)
        forest.fit(z[fit].numpy(), factor[fit].numpy())
        importances.append(torch.from_numpy(forest.feature_importances_))
        accuracies.append(float(forest.score(z[test].numpy(), factor[test].numpy())))
    return torch.stack(importances, 1), sum(accuracies) / len(accuracies)


def compute_concentration(importances: Tensor) -> float:
    """Compute how much of each row of a matrix is in one column, averaged over the rows with their sums as weights.

    Args:
        importances: Tensor of shape (n_rows, n_columns) of non-negative numbers, with two columns or more.

    Returns:
        One minus the mean entropy of the rows, each divided by its sum, in units of log n_columns. It is 0 if all
        importances are.
    """
    sums = importances.sum(1)
    smallest = torch.finfo(sums.dtype).tiny
    entropies = torch.special.entr(importances / sums.clamp(min=smallest).unsqueeze(1)).sum(1)
    concentrations = 1 - entropies / log(importances.shape[1])
    return ((sums * concentrations).sum() / sums.sum().clamp(min=smallest)).item()
