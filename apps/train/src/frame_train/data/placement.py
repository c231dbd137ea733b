"""Placement of in-memory data sets on the accelerator, so that no step waits for a copy."""

import torch

from frame_core import MovableDataset, SizedDataset

_GREATEST_FRACTION = 0.5  # of the free memory; weights, gradients and activations need the rest


def place(data_set: SizedDataset, device: torch.device, n_free: int) -> SizedDataset:
    """Return a copy of a data set on a device if it takes at most half of the free memory, else the data set itself.

    Args:
        data_set: The data set.
        device: The device.
        n_free: Free memory of the device, in bytes.
    """
    n_bytes = data_set.n_bytes if isinstance(data_set, MovableDataset) else None
    if n_bytes is None or n_bytes > _GREATEST_FRACTION * n_free:
        return data_set
    assert isinstance(data_set, MovableDataset)  # it has a number of bytes
    return data_set.to(device)


def read_free_memory(device: torch.device) -> int:
    """Read the free memory of a GPU, in bytes; return 0 for any other device, to which nothing is copied."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
