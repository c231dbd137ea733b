"""Disentanglement, completeness and informativeness of a representation."""

from math import log

import torch
from torch import Tensor

from frame_core import SCALARS_ENTRY, Evaluation, LogEntry, Optimization, RepresentationLearningModel
from frame_eval.extras import import_extra
from frame_eval.representations.factors import check_factors, encode_with_factors, split_in_half


class DCIEvaluation(Evaluation):
    """Disentanglement, completeness and informativeness (DCI) of a representation. It requires scikit-learn.

    A random forest for each known factor predicts the factor from the mean of q(z | x). It is fitted to a random half
    of the examples and tested on the other half. The importance of a latent dimension for a factor is the impurity that
    the dimension removes.

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
        """Compute the three numbers.

        Raises:
            ModuleNotFoundError: scikit-learn is not installed.
            TypeError: The representation has no mean.
            ValueError: There is one factor or one latent dimension, a factor has one value, or a representation is not
                finite.
        """
        z, factors = encode_with_factors(optimization, self.evaluate_on)
        if z.shape[1] < 2 or factors.shape[1] < 2:
            raise ValueError(
                "`DCIEvaluation` needs two latent dimensions and two factors or more, got "
                f"{z.shape[1]} and {factors.shape[1]}."
            )
        fit, test = split_in_half(z, factors, self.evaluate_on)
        importances, accuracy = fit_forests(fit, test)
        value = {
            "disentanglement": compute_concentration(importances),
            "completeness": compute_concentration(importances.T),
            "informativeness": accuracy,
        }
        return LogEntry(data_type=SCALARS_ENTRY, value=value)


def fit_forests(fit: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> tuple[Tensor, float]:
    """Predict each factor from a representation.

    Args:
        fit: Representations (n_fit, z_dim) and factors (n_fit, n_factors) that the forests are fitted to.
        test: Others that they are tested on.

    Returns:
        The importances, of shape (z_dim, n_factors), and the mean accuracy of the test. The importances for a factor
        sum to one, or to zero if no dimension has any.
    """
    make_forest = import_extra("sklearn.ensemble", "scikit-learn", "DCIEvaluation").RandomForestClassifier
    (z_fit, factors_fit), (z_test, factors_test) = ([part.cpu().numpy() for part in half] for half in (fit, test))
    importances: list[Tensor] = []
    accuracies: list[float] = []
    for factor_fit, factor_test in zip(factors_fit.T, factors_test.T):
        forest = make_forest(n_estimators=50, min_samples_leaf=10, max_features=None, random_state=0)
        forest.fit(z_fit, factor_fit)
        importances.append(torch.from_numpy(forest.feature_importances_))
        accuracies.append(float(forest.score(z_test, factor_test)))
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
