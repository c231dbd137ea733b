"""Kernel distance of generated and real examples."""

import torch
from torch import Tensor

from frame_core import SCALAR_ENTRY, LogEntry
from frame_eval.batches import BATCH_SIZE
from frame_eval.distances.features import FeatureEvaluation


class KernelDistanceEvaluation(FeatureEvaluation):
    """Kernel distance of the features of generated examples to those of a split.

    It is the unbiased estimate of the squared maximum mean discrepancy with the kernel (x · y / n_features + 1)^3. With
    the features of the Inception network, this is the KID. Two samples of one distribution have a distance of zero on
    average, whatever their size. So an estimate can be negative.

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
        Demystifying MMD GANs (Bińkowski et al., 2018), https://arxiv.org/abs/1801.01401
    """

    def compare(self, real: Tensor, fake: Tensor) -> LogEntry:
        if len(real) < 2:
            raise ValueError(f"Split {self.evaluate_on!r} of `data` needs at least 2 examples, got {len(real)}.")
        return LogEntry(data_type=SCALAR_ENTRY, value=compute_kernel_distance(real, fake).item())


def compute_kernel_distance(first: Tensor, second: Tensor) -> Tensor:
    """Compute the unbiased estimate of the squared maximum mean discrepancy of two samples.

    Args:
        first: Sample of shape (n_first, n_features), of at least two.
        second: Sample of shape (n_second, n_features), of at least two.

    Returns:
        Scalar tensor in double precision.
    """
    first, second = first.double(), second.double()
    within = [(_sum_kernel(x, x) - _compute_kernel_of_itself(x)) / (len(x) * (len(x) - 1)) for x in (first, second)]
    return within[0] + within[1] - 2 * _sum_kernel(first, second) / (len(first) * len(second))


def _sum_kernel(first: Tensor, second: Tensor) -> Tensor:
    """Sum the kernel over all pairs of two samples."""
    rows = [((x @ second.T / second.shape[1] + 1) ** 3).sum() for x in first.split(BATCH_SIZE)]
    return torch.stack(rows).sum()


def _compute_kernel_of_itself(x: Tensor) -> Tensor:
    """Sum the kernel over the pairs of each vector with itself."""
    return ((x.square().sum(1) / x.shape[1] + 1) ** 3).sum()
