"""Labels that data come with."""

from collections.abc import Mapping

import torch
from torch import Tensor

from frame_core import Optimization, get_batch, get_split, get_tensor


def find_labels(batch: Mapping[str, Tensor]) -> Tensor | None:
    """Give the labels of a batch, an integer tensor of shape (batch,), or None where it has no such ``y``."""
    y = batch.get("y")
    if y is None or y.shape != get_tensor(batch, "x").shape[:1] or y.is_floating_point() or y.is_complex():
        return None
    return y.long()


def check_labels(optimization: Optimization, split: str) -> None:
    """Check, by its first datum, that a split has labels.

    Raises:
        ValueError: The data have no such split, nothing in it, or no labels.
    """
    require_labels(find_labels(get_batch(get_split(optimization.data, split), torch.tensor([0]))), split)


def require_labels(y: Tensor | None, split: str) -> Tensor:
    """Give back the labels of a split.

    Raises:
        ValueError: There are none.
    """
    if y is None:
        raise ValueError(f"Split {split!r} of `data` has no labels: each datum needs a `y` that is one integer.")
    return y
