"""Features of real and of generated examples, and the base class of evaluations that compare them."""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from copy import deepcopy

import torch
from torch import Tensor, nn

from frame_core import Evaluation, GenerativeModel, LogEntry, Optimization, check_count, get_split
from frame_eval.batches import BATCH_SIZE, iterate_split
from frame_eval.conditions import check_generation, read_conditions
from frame_eval.device import move_to_model


class FeatureEvaluation(Evaluation):
    """Comparison of the features of generated examples with those of a split.

    A conditional model generates each example given the conditions of a random example of the split, such as its label.

    Args:
        evaluate_on: Name of the split, using all its examples.
        features: Network from examples (batch, \\*x_shape) to features (batch, n_features).
        n_samples: Number of generated examples.

    Raises:
        TypeError: ``n_samples`` is not an integer.
        ValueError: ``n_samples`` is less than two.
    """

    requires = GenerativeModel

    def __init__(self, evaluate_on: str, features: nn.Module, n_samples: int = 10_000) -> None:
        self.evaluate_on = evaluate_on
        self.features = features
        self.n_samples = check_count("n_samples", n_samples, minimum=2)

    def check(self, optimization: Optimization) -> None:
        check_generation(optimization, self.evaluate_on)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Compute the features, and compare them.

        Raises:
            ValueError: The split has too few examples, or the features are not vectors, or not finite.
        """
        return self.compare(*compute_features(optimization, self.evaluate_on, self.features, self.n_samples))

    @abstractmethod
    def compare(self, real: Tensor, fake: Tensor) -> LogEntry:
        """Compare features of real examples, of shape (n_real, n_features), with those of generated ones.

        Raises:
            ValueError: There are too few real examples.
        """


def compute_features(
    optimization: Optimization, split: str, features: nn.Module, n_samples: int
) -> tuple[Tensor, Tensor]:
    """Compute the features of all examples of a split, and of generated examples.

    A conditional model generates each example given the conditions of a random example of the split, such as its label.

    Args:
        optimization: The optimization that has the data and the model, a `GenerativeModel`.
        split: Name of the split.
        features: Network from examples (batch, \\*x_shape) to features (batch, n_features).
        n_samples: Number of generated examples.

    Returns:
        Tensors of shape (n_real, n_features) and (n_samples, n_features).

    Raises:
        ValueError: The network can't take examples of this shape, or the features are not vectors, or not finite.
    """
    network = deepcopy(features).eval()
    sizes = [min(BATCH_SIZE, n_samples - start) for start in range(0, n_samples, BATCH_SIZE)]
    real = _compute(network, (batch["x"] for batch in iterate_split(optimization, split, BATCH_SIZE)))
    return real, _compute(network, (_generate(optimization, split, size) for size in sizes))


def _generate(optimization: Optimization, split: str, n_samples: int) -> Tensor:
    """Generate examples, given the conditions of random examples if the model is conditional."""
    assert isinstance(optimization.model, GenerativeModel)  # the evaluation's `requires`
    sample: Callable[..., Tensor] = optimization.model.sample
    if not read_conditions(optimization, split, torch.arange(1)):
        return sample(torch.Size([n_samples]))
    indices = torch.randint(len(get_split(optimization.data, split)), (n_samples,))
    return sample(torch.Size([]), **read_conditions(optimization, split, indices))


def _compute(network: nn.Module, batches: Iterable[Tensor]) -> Tensor:
    features = torch.cat([_apply(network, x) for x in batches])
    if features.ndim != 2 or not features.isfinite().all():
        raise ValueError(
            "`features` must return finite numbers of shape (n_examples, n_features), got "
            f"{'numbers' if features.isfinite().all() else 'NaN or infinity'} of shape {tuple(features.shape)}."
        )
    return features


def _apply(network: nn.Module, x: Tensor) -> Tensor:
    try:
        return network(move_to_model(x, network))
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise ValueError(
            f"`features` must be a network for examples of shape {tuple(x.shape[1:])}; this one raised: {error}"
        ) from error
