"""Wasserstein distance of generated and real examples."""

import torch
from torch import Tensor

from frame_core import SCALAR_ENTRY, Evaluation, GenerativeModel, LogEntry, Optimization, check_count
from frame_eval.batches import BATCH_SIZE, iterate_split
from frame_eval.conditions import check_generation, sample_like
from frame_eval.extras import import_extra


class WassersteinDistanceEvaluation(Evaluation):
    """Squared 2-Wasserstein distance of generated examples to those of a split. It requires scipy.

    It is the mean squared distance of pairs, one example of each set, for the pairing that makes it smallest. It is
    exact. Two sets of real examples have a distance above zero, which falls with their size. That distance is the
    floor. A conditional model is given the conditions of the real examples.

    Args:
        evaluate_on: Name of the split.
        n_samples: Number of examples of each set. The time grows with its third power.

    Raises:
        TypeError: ``n_samples`` is not an integer.
        ValueError: ``n_samples`` is not positive.

    References:
        Computational Optimal Transport (Peyré & Cuturi, 2019), https://arxiv.org/abs/1803.00567
    """

    requires = GenerativeModel

    def __init__(self, evaluate_on: str, n_samples: int = 2000) -> None:
        self.evaluate_on = evaluate_on
        self.n_samples = check_count("n_samples", n_samples)

    def check(self, optimization: Optimization) -> None:
        check_generation(optimization, self.evaluate_on)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Compute the distance.

        Raises:
            ModuleNotFoundError: scipy is not installed.
            ValueError: A generated example is not finite, or has another shape than a real one.
        """
        model = optimization.model
        assert isinstance(model, GenerativeModel)  # `requires`
        batches = iterate_split(optimization, self.evaluate_on, BATCH_SIZE, self.n_samples)
        pairs = [(batch["x"], sample_like(model, batch)) for batch in batches]
        real, fake = (torch.cat(examples) for examples in zip(*pairs))
        if fake.shape != real.shape or not fake.isfinite().all():
            raise ValueError(
                f"`{type(model).__name__}.sample` must return finite numbers of shape {tuple(real.shape)}, got "
                f"{'numbers' if fake.isfinite().all() else 'NaN or infinity'} of shape {tuple(fake.shape)}."
            )
        return LogEntry(data_type=SCALAR_ENTRY, value=compute_wasserstein_distance(real, fake))


def compute_wasserstein_distance(first: Tensor, second: Tensor) -> float:
    """Compute the squared 2-Wasserstein distance of two samples of the same size.

    Args:
        first: Sample of shape (n_samples, \\*x_shape).
        second: Sample of the same shape.
    """
    pair = import_extra("scipy.optimize", "scipy", "WassersteinDistanceEvaluation").linear_sum_assignment
    costs = torch.cdist(first.flatten(1).double(), second.flatten(1).double()).square().cpu().numpy()
    return costs[pair(costs)].mean().item()
