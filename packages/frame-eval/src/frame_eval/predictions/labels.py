"""Labels of examples."""

from collections.abc import Mapping

import torch
from torch import Tensor

from frame_core import Optimization, get_batch, get_split, get_tensor


def find_labels(batch: Mapping[str, Tensor]) -> Tensor | None:
    """Return the labels of a batch, an integer tensor of shape (batch,), or None if it has no such ``y``."""
    y: object = batch.get("y")
    if (
        not isinstance(y, Tensor)
        or y.shape != get_tensor(batch, "x").shape[:1]
        or y.is_floating_point()
        or y.is_complex()
    ):
        return None
    return y.long()


def check_labels(optimization: Optimization, split: str) -> None:
    """Check that the first example of a split has a label.

    Raises:
        ValueError: The split is missing, empty or without labels.
    """
    require_labels(find_labels(get_batch(get_split(optimization.data, split), torch.tensor([0]))), split)


def require_labels(y: Tensor | None, split: str) -> Tensor:
    """Return the labels of a split.

    Raises:
        ValueError: ``y`` is None.
    """
    if y is None:
        raise ValueError(f"Split {split!r} of `data` has no labels: each example needs a `y` that is one integer.")
    return y


def check_lowest_label(lowest: int) -> None:
    """Check the lowest label of the examples that a classifier predicts.

    Raises:
        ValueError: It is negative, as an unknown label often is.
    """
    if lowest < 0:
        raise ValueError(f"Labels `y` must be non-negative, got {lowest}. Evaluate on a split without unknown labels.")
