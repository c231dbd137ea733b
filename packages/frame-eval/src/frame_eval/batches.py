"""Batches of a split, on the device and in the precision of the model."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from frame_core import Optimization, check_count, get_batch, get_split, read_batches
from frame_eval.device import move_batch_to_model

BATCH_SIZE = 1000
"""Maximum number of examples on the model's device at a time."""

N_BYTES = 2**26
"""Maximum size of a batch in bytes. The activations of the model take a multiple of it."""

N_DRAWS = 10_000
"""Maximum number of random draws on the model's device at a time, summed over the examples of a batch."""


def iterate_split(
    optimization: Optimization, split: str, batch_size: int, n_samples: int | None = None
) -> Iterator[dict[str, Any]]:
    """Iterate once over a split, in order. The tensors of a batch are on the device and in the precision of the model.

    Args:
        optimization: The optimization that has the model and the data.
        split: Name of the split.
        batch_size: Number of examples in a batch. A batch has fewer if it is the last, or would exceed `N_BYTES`.
        n_samples: Number of examples, drawn at random, but the same every time. None, or more than the split has,
            means all.

    Raises:
        ValueError: The split is missing or empty, or its examples have no ``x``.
    """
    data_set = get_split(optimization.data, split)
    indices_of_all = _choose_indices(len(data_set), n_samples)
    n_fitting = _count_fitting(get_batch(data_set, indices_of_all[:1]))
    for batch in read_batches(data_set, indices_of_all.split(min(batch_size, n_fitting))):
        if "x" not in batch:
            raise ValueError(f"Split {split!r} of `data` has no `x`; it has {', '.join(map(repr, batch))}.")
        yield move_batch_to_model(batch, optimization.model)


def check_n_samples(n_samples: int | None) -> int | None:
    """Return the number of examples of an evaluation if it is a positive integer, or None.

    Raises:
        TypeError: ``n_samples`` is not an integer.
        ValueError: ``n_samples`` is not positive.
    """
    return None if n_samples is None else check_count("n_samples", n_samples)


def get_batch_size(n_latent_samples: int) -> int:
    """Return the batch size for a model that draws ``n_latent_samples`` samples per example."""
    return max(1, min(BATCH_SIZE, N_DRAWS // n_latent_samples))


def split_draws(n_latent_samples: int, x: Tensor) -> list[int]:
    """Split the number of draws per example of a batch ``x`` into numbers of draws to make at a time."""
    n_at_a_time = max(1, min(N_DRAWS // len(x), N_BYTES // x.nbytes))
    return [min(n_at_a_time, n_latent_samples - start) for start in range(0, n_latent_samples, n_at_a_time)]


def _count_fitting(example: Mapping[str, Any]) -> int:
    """Return the number of examples that fit in a batch, given a batch of one example."""
    return max(1, N_BYTES // max(1, sum(value.nbytes for value in example.values() if isinstance(value, Tensor))))


def _choose_indices(n_all: int, n_samples: int | None) -> Tensor:
    if n_samples is None or n_samples >= n_all:
        return torch.arange(n_all)
    # random indices, not equidistant ones: the labels of a split may be periodic
    return torch.randperm(n_all, generator=torch.Generator().manual_seed(0))[:n_samples].sort().values
