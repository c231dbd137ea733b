"""Loaders: whole batches by index, in an order that depends on the seed and the epoch alone."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from frame_core import BatchedDataset, SizedDataset, get_batch

_EPOCH_STRIDE = 0x9E3779B97F4A7C15  # odd and large: epochs of one seed are far from those of another


class ShuffledBatches(Sampler[Tensor]):
    """The indices of each batch of an epoch, in a permutation that is a function of (seed, epoch).

    Args:
        n_data: Number of data.
        batch_size: Number of data in a batch; the last batch may be smaller.
        seed: The seed.
    """

    def __init__(self, n_data: int, batch_size: int, seed: int) -> None:
        self.n_data = n_data
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this at the beginning of each."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Tensor]:
        key = (self.seed + _EPOCH_STRIDE * self.epoch) % 2**63
        permutation = torch.randperm(self.n_data, generator=torch.Generator().manual_seed(key))
        return iter(permutation.split(self.batch_size))

    def __len__(self) -> int:
        return -(-self.n_data // self.batch_size)


class _Batches(Dataset[Mapping[str, Tensor]]):
    """A data set read batch by batch: its index is a tensor of indices."""

    def __init__(self, data_set: SizedDataset) -> None:
        self.data_set = data_set

    def __getitem__(self, indices: Tensor) -> dict[str, Tensor]:
        return get_batch(self.data_set, indices)

    def __len__(self) -> int:
        return len(self.data_set)


def make_train_loader(
    data_set: SizedDataset, batch_size: int, seed: int, num_workers: int = 0, pin_memory: bool = False
) -> DataLoader[Any]:
    """Make the loader of shuffled training batches.

    A `frame_core.BatchedDataset` is read in this process, by tensor slices; every other data set goes
    through the workers, sample by sample.

    Args:
        data_set: The data.
        batch_size: Number of data in a batch.
        seed: Seed of the permutations.
        num_workers: Number of processes that read a data set that is not in memory.
        pin_memory: Whether batches lie in pinned memory; without effect where there is no GPU.

    Raises:
        ValueError: A number is out of its range.
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be positive, got {batch_size!r}.")
    if num_workers < 0:
        raise ValueError(f"`num_workers` must not be negative, got {num_workers!r}.")
    n_processes = 0 if isinstance(data_set, BatchedDataset) else num_workers
    return DataLoader(
        _Batches(data_set),
        batch_size=None,
        sampler=ShuffledBatches(len(data_set), batch_size, seed),
        num_workers=n_processes,
        persistent_workers=n_processes > 0,
        pin_memory=pin_memory and torch.cuda.is_available(),
    )
