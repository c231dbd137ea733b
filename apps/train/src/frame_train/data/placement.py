"""Data that lie on the accelerator, so that no step waits for a copy of them."""

import torch

from frame_core import MovableDataset, SizedDataset

_GREATEST_PART = 0.5  # of the free memory: the rest is for weights, gradients and activations


def place(data_set: SizedDataset, device: torch.device, n_free: int) -> SizedDataset:
    """Give a copy of a data set on a device where it takes at most half of the free memory, and itself elsewhere.

    Args:
        data_set: The data.
        device: The device.
        n_free: Free memory of the device, in bytes.
    """
    n_bytes = data_set.n_bytes if isinstance(data_set, MovableDataset) else None
    if n_bytes is None or n_bytes > _GREATEST_PART * n_free:
        return data_set
    assert isinstance(data_set, MovableDataset)  # it has a number of bytes
    return data_set.to(device)


def read_free_memory(device: torch.device) -> int:
    """Read the free memory of a GPU, in bytes; of any other device it is 0, as nothing is copied there."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
