"""Fréchet distance of generated and real examples."""

import torch
from torch import Tensor

from frame_core import SCALAR_ENTRY, LogEntry
from frame_eval.distances.features import FeatureEvaluation


class FrechetDistanceEvaluation(FeatureEvaluation):
    """Squared Fréchet distance of the features of generated examples to those of a split.

    Both sets of features are treated as normal distributions: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). With the
    features of the Inception network, this is the FID. Distances on other features are comparable only with one
    another; that of two halves of the real examples is the floor.

    A conditional model generates each example given the conditions of a random example of the split, such as its label.

    Args:
        evaluate_on: Name of the split, using all its examples.
        features: Network from examples (batch, \\*x_shape) to features (batch, n_features), such as all layers of a
            classifier except the last.
        n_samples: Number of generated examples.

    Raises:
        TypeError: ``n_samples`` is not an integer.
        ValueError: ``n_samples`` is less than two.

    References:
        GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al., 2017),
        https://arxiv.org/abs/1706.08500
    """

    def compare(self, real: Tensor, fake: Tensor) -> LogEntry:
        return LogEntry(data_type=SCALAR_ENTRY, value=compute_frechet_distance(real, fake).item())


def compute_frechet_distance(first: Tensor, second: Tensor) -> Tensor:
    """Compute the squared Fréchet distance of the normal distributions with the moments of two samples.

    Args:
        first: Sample of shape (n_first, n_features).
        second: Sample of shape (n_second, n_features).

    Returns:
        Scalar tensor in double precision.
    """
    (mean_1, covariance_1), (mean_2, covariance_2) = (_compute_moments(sample.double()) for sample in (first, second))
    # The eigenvalues of C1 C2 are those of S C2 S with S = C1^(1/2), which is symmetric.
    root = _compute_root(covariance_1)
    eigenvalues = torch.linalg.eigvalsh(root @ covariance_2 @ root).clamp(min=0)
    trace = covariance_1.trace() + covariance_2.trace() - 2 * eigenvalues.sqrt().sum()
    return (mean_1 - mean_2).square().sum() + trace


def _compute_moments(sample: Tensor) -> tuple[Tensor, Tensor]:
    return sample.mean(0), torch.atleast_2d(sample.T.cov())


def _compute_root(covariance: Tensor) -> Tensor:
    """Compute the symmetric square root of a covariance matrix."""
    eigenvalues, vectors = torch.linalg.eigh(covariance)
    return vectors * eigenvalues.clamp(min=0).sqrt() @ vectors.T
