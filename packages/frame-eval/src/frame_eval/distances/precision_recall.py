"""Precision and recall of generated examples."""

import torch
from torch import Tensor, nn

from frame_core import SCALARS_ENTRY, LogEntry, check_count
from frame_eval.batches import BATCH_SIZE
from frame_eval.distances.features import FeatureEvaluation


class PrecisionRecallEvaluation(FeatureEvaluation):
    """Fraction of generated examples that are like real ones, and of real examples that are like generated ones.

    Each example of a set covers a ball of features, up to its ``n_neighbors``-th nearest neighbor in the set.
    ``precision`` is the fraction of generated examples in a ball of a real one, and ``recall`` the fraction of real
    examples in a ball of a generated one. Both depend on the number of examples, so generate as many as the split has.

    A conditional model generates each example given the conditions of a random example of the split, such as its label.

    Args:
        evaluate_on: Name of the split, using all its examples.
        features: Network from examples (batch, \\*x_shape) to features (batch, n_features), such as all layers of a
            classifier except the last.
        n_samples: Number of generated examples.
        n_neighbors: Neighbor at the border of a ball.

    Raises:
        TypeError: A number is not an integer.
        ValueError: ``n_neighbors`` is not positive, or ``n_samples`` is not greater than it.

    References:
        Improved Precision and Recall Metric for Assessing Generative Models (Kynkäänniemi et al., 2019),
        https://arxiv.org/abs/1904.06991
    """

    def __init__(self, evaluate_on: str, features: nn.Module, n_samples: int = 10_000, n_neighbors: int = 3) -> None:
        self.n_neighbors = check_count("n_neighbors", n_neighbors)
        super().__init__(evaluate_on, features, check_count("n_samples", n_samples, minimum=n_neighbors + 1))

    def compare(self, real: Tensor, fake: Tensor) -> LogEntry:
        if len(real) <= self.n_neighbors:
            raise ValueError(
                f"Split {self.evaluate_on!r} of `data` needs more examples than `n_neighbors`, {self.n_neighbors}, got "
                f"{len(real)}."
            )
        precision = compute_coverage(fake, real, self.n_neighbors).item()
        recall = compute_coverage(real, fake, self.n_neighbors).item()
        return LogEntry(data_type=SCALARS_ENTRY, value={"precision": precision, "recall": recall})


def compute_coverage(points: Tensor, centers: Tensor, n_neighbors: int) -> Tensor:
    """Compute the fraction of points that are in the ball of a center.

    Args:
        points: Tensor of shape (n_points, n_features).
        centers: Tensor of shape (n_centers, n_features), with more rows than ``n_neighbors``.
        n_neighbors: The radius of the ball of a center is the distance to its neighbor of this order among the centers.

    Returns:
        Scalar tensor.
    """
    # the nearest center is the center itself
    radii = [_measure(batch, centers).kthvalue(n_neighbors + 1, dim=1).values for batch in centers.split(BATCH_SIZE)]
    radius = torch.cat(radii)
    is_covered = [(_measure(batch, centers) <= radius).any(1) for batch in points.split(BATCH_SIZE)]
    return torch.cat(is_covered).float().mean()


def _measure(points: Tensor, centers: Tensor) -> Tensor:
    return torch.cdist(points, centers, compute_mode="donot_use_mm_for_euclid_dist")  # exact: a center is at 0
