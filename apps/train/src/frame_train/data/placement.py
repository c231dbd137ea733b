"""Placement of in-memory data sets on the accelerator, so that no step waits for a copy."""

from typing import Any, cast

import torch
from torch.utils.data import ConcatDataset, Subset

from frame_core import MovableDataset, SizedDataset, is_in_memory

_GREATEST_FRACTION = 0.5  # of the free memory; weights, gradients and activations need the rest


def place(data_set: SizedDataset, device: torch.device, n_free: int) -> SizedDataset:
    """Return a copy of a data set on a device if it takes at most half of the free memory, else the data set itself.

    Args:
        data_set: The data set.
        device: The device.
        n_free: Free memory of the device, in bytes.
    """
    n_bytes = count_bytes(data_set)
    return data_set if n_bytes is None or n_bytes > _GREATEST_FRACTION * n_free else move(data_set, device)


def count_bytes(data_set: SizedDataset) -> int | None:
    """Return the size of a copy of a data set, in bytes; None if it can't be moved to a device."""
    if not is_in_memory(data_set):
        return None
    if isinstance(data_set, MovableDataset):
        return data_set.n_bytes
    if isinstance(data_set, Subset):
        return count_bytes(cast(Any, data_set).dataset)
    if isinstance(data_set, ConcatDataset):
        sizes = [count_bytes(part) for part in cast(Any, data_set).datasets]
        return sum(size for size in sizes if size is not None) if None not in sizes else None
    return None


def move(data_set: SizedDataset, device: torch.device) -> SizedDataset:
    """Return a copy of a data set on a device; `count_bytes` returns its size, not None."""
    if isinstance(data_set, Subset):
        part = cast(Any, data_set)
        return Subset(cast(Any, move(part.dataset, device)), cast(Any, torch.tensor(list(part.indices), device=device)))
    if isinstance(data_set, ConcatDataset):
        return ConcatDataset([cast(Any, move(part, device)) for part in cast(Any, data_set).datasets])
    assert isinstance(data_set, MovableDataset)
    return data_set.to(device)


def read_free_memory(device: torch.device) -> int:
    """Read the free memory of a GPU, in bytes; return 0 for any other device, to which nothing is copied."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
