"""Representations of data."""

import torch
from torch import Tensor

from frame_core import Optimization, RepresentationLearningModel, get_mean, get_split, share
from frame_eval.batches import get_batch_size, iterate_split
from frame_eval.labels import find_labels


def encode_split(optimization: Optimization, split: str, n_data: int | None = None) -> tuple[Tensor, Tensor | None]:
    """Give the means of the representations of a split, and its labels, once for all evaluations of a moment.

    Args:
        optimization: Has the data and the model, a `RepresentationLearningModel`.
        split: Name of the split.
        n_data: Number of data, drawn at random but the same every time; all of them where it is None
            or the split has no more.

    Returns:
        A float32 tensor of shape (n_data, z_dim), each representation as a vector, and an integer tensor
        of shape (n_data,), or None where the data have no labels; both on the device of the model.

    Raises:
        TypeError: The representation has no mean.
        ValueError: The data have no such split, or nothing in it; or the representation is not finite.
    """
    n_chosen = None if n_data is None or n_data >= len(get_split(optimization.data, split)) else n_data
    key = (encode_split, optimization.model, split, n_chosen)
    return share(key, lambda: _encode(optimization, split, n_data))


def _encode(optimization: Optimization, split: str, n_data: int | None) -> tuple[Tensor, Tensor | None]:
    model = optimization.model
    assert isinstance(model, RepresentationLearningModel)  # the evaluation's `requires`
    means: list[Tensor] = []
    labels: list[Tensor | None] = []
    for batch in iterate_split(optimization, split, get_batch_size(n_samples=1), n_data):
        means.append(get_mean(model.encode(batch["x"]), "encode"))
        labels.append(find_labels(batch))
    z = torch.cat(means).detach().float()
    if not z.isfinite().all():
        raise ValueError(f"`{type(model).__name__}` represents some data of split {split!r} by what is not finite.")
    y = [label for label in labels if label is not None]
    return z.reshape(len(z), -1), torch.cat(y) if len(y) == len(labels) else None
