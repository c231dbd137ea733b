"""Representations and labels of a split."""

import torch
from torch import Tensor

from frame_core import Optimization, RepresentationLearningModel, encode_batch, get_mean, get_split, share
from frame_eval.batches import get_batch_size, iterate_split
from frame_eval.predictions.labels import find_labels


def encode_split(optimization: Optimization, split: str, n_samples: int | None = None) -> tuple[Tensor, Tensor | None]:
    """Return the mean representations and the labels of a split; the evaluations of one step share the result.

    Args:
        optimization: The optimization that has the data and the model, a `RepresentationLearningModel`.
        split: Name of the split.
        n_samples: Number of examples, drawn at random, but the same every time. None, or more than the split has,
            means all.

    Returns:
        A float32 tensor of shape (n_samples, z_dim), in which each representation is a vector, and an integer tensor
        of shape (n_samples,), or None if the examples have no labels. Both are on the device of the model.

    Raises:
        TypeError: The representation has no mean.
        ValueError: The split is missing or empty, or a representation is not finite.
    """
    n_all = len(get_split(optimization.data, split))
    n_chosen = None if n_samples is None or n_samples >= n_all else n_samples
    key = (encode_split, split, n_chosen)
    return share(optimization, key, lambda: _encode(optimization, split, n_chosen))


def _encode(optimization: Optimization, split: str, n_samples: int | None) -> tuple[Tensor, Tensor | None]:
    model = optimization.model
    assert isinstance(model, RepresentationLearningModel)  # the evaluation's `requires`
    means: list[Tensor] = []
    labels: list[Tensor | None] = []
    for batch in iterate_split(optimization, split, get_batch_size(n_latent_samples=1), n_samples):
        means.append(get_mean(encode_batch(model, batch), "encode"))
        labels.append(find_labels(batch))
    z = torch.cat(means).detach().float()
    if not z.isfinite().all():
        raise ValueError(
            f"`{type(model).__name__}.encode` must return finite representations, got NaN or infinity for some "
            f"examples of split {split!r}."
        )
    y = [label for label in labels if label is not None]
    return z.reshape(len(z), -1), torch.cat(y) if len(y) == len(labels) else None
