"""Multinomial logistic regression."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


@dataclass(frozen=True)
class LogisticRegression:
    """Linear classifier of standardized vectors."""

    classes: Tensor
    """The labels, of shape (n_classes,), in ascending order."""

    mean: Tensor
    standard_deviation: Tensor
    """Standard deviation of the training vectors, of shape (dim,), like their mean."""

    weight: Tensor
    """Coefficients of shape (dim, n_classes)."""

    bias: Tensor
    """Intercepts of shape (n_classes,)."""

    def compute_logits(self, vectors: Tensor) -> Tensor:
        """Compute the logits of vectors (n_data, dim), of shape (n_data, n_classes)."""
        return (vectors - self.mean) / self.standard_deviation @ self.weight + self.bias

    def predict(self, vectors: Tensor) -> Tensor:
        """Return the most probable labels of vectors (n_data, dim), of shape (n_data,)."""
        return self.classes[self.compute_logits(vectors).argmax(-1)]


def fit_logistic_regression(
    vectors: Tensor, labels: Tensor, regularization: float, n_iterations: int = 500
) -> LogisticRegression:
    """Fit a classifier to all examples at once by L-BFGS, starting from zero.

    It minimizes the sum of the negative log-likelihoods and ``regularization / 2`` times the squared
    norm of the coefficients, a convex function with one minimum. The result is deterministic.

    Args:
        vectors: Tensor of shape (n_data, dim).
        labels: Integer tensor of shape (n_data,).
        regularization: Weight of the penalty. For three or more classes it is the inverse of scikit-learn's ``C``.
        n_iterations: Maximum number of iterations.
    """
    with torch.inference_mode(False), torch.enable_grad():
        vectors, labels = vectors.clone(), labels.clone()  # autograd cannot use tensors made in inference mode
        classes, targets = labels.unique(return_inverse=True)
        standard_deviation, mean = torch.std_mean(vectors, dim=0, correction=0)
        constant = standard_deviation <= 1e-6 * mean.abs()  # up to rounding
        standard_deviation = torch.where(constant, 1.0, standard_deviation)
        standardized = (vectors - mean) / standard_deviation
        weight = vectors.new_zeros(vectors.shape[1], len(classes), requires_grad=True)
        bias = vectors.new_zeros(len(classes), requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [weight, bias], max_iter=n_iterations, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
        )

        def compute_loss() -> Tensor:
            optimizer.zero_grad()
            penalty = regularization / (2 * len(vectors)) * weight.square().sum()
            loss = cross_entropy(standardized @ weight + bias, targets) + penalty
            loss.backward()
            return loss

        optimizer.step(compute_loss)
    return LogisticRegression(classes, mean, standard_deviation, weight.detach(), bias.detach())
