"""A split of the data, batch by batch, as the model takes it."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from frame_core import Optimization, get_batch, get_split, read_batches
from frame_eval.device import move_to_model

BATCH_SIZE = 1000
"""Number of data in the memory of the model's device at a time."""

N_BYTES = 2**26
"""Greatest size of a batch of data, in bytes: what a model computes from it takes a multiple of that."""

N_DRAWS = 10_000
"""Number of random draws of the model in that memory at a time, those for all data of a batch together."""


def iterate_split(
    optimization: Optimization, split: str, batch_size: int, n_data: int | None = None
) -> Iterator[dict[str, Tensor]]:
    """Go once through a split in its order, each batch on the device of the model and in its precision.

    Args:
        optimization: Has the model and the data.
        split: Name of the split.
        batch_size: Number of data in a batch; fewer where they are larger than `N_BYTES` together, and in the last.
        n_data: Number of data, drawn at random but the same every time; all of them where it is None
            or the split has no more.

    Raises:
        ValueError: The data have no such split, or nothing in it, or no ``x``.
    """
    data_set = get_split(optimization.data, split)
    indices_of_all = _choose_indices(len(data_set), n_data)
    n_fitting = _count_fitting(get_batch(data_set, indices_of_all[:1]))
    for batch in read_batches(data_set, indices_of_all.split(min(batch_size, n_fitting))):
        if "x" not in batch:
            raise ValueError(f"Split {split!r} of `data` has no `x` to look at; it has {', '.join(map(repr, batch))}.")
        yield {name: move_to_model(value, optimization.model) for name, value in batch.items()}


def get_batch_size(n_samples: int) -> int:
    """Give the size of a batch when a model draws so many samples for each datum."""
    return max(1, min(BATCH_SIZE, N_DRAWS // n_samples))


def split_draws(n_samples: int, x: Tensor) -> list[int]:
    """Split a number of samples for each datum of a batch ``x`` into numbers that are drawn at a time."""
    n_at_a_time = max(1, min(N_DRAWS // len(x), N_BYTES // x.nbytes))
    return [min(n_at_a_time, n_samples - start) for start in range(0, n_samples, n_at_a_time)]


def _count_fitting(datum: Mapping[str, Tensor]) -> int:
    """Count the data that go into a batch, from a batch of one."""
    return max(1, N_BYTES // max(1, sum(value.nbytes for value in datum.values())))


def _choose_indices(n_all: int, n_data: int | None) -> Tensor:
    if n_data is None or n_data >= n_all:
        return torch.arange(n_all)
    # at random, not at equal distances: a split may have its labels in turn
    return torch.randperm(n_all, generator=torch.Generator().manual_seed(0))[:n_data].sort().values
