"""Data sets that fit in memory."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.utils.data import Dataset


class InMemoryDataset(Dataset[dict[str, Tensor]]):
    """Tensors of equal length, served as slices of whole batches.

    Tensors of bytes are pictures: they are kept as bytes and given as floats in [0, 1].

    Args:
        tensors: The tensors by name, each of shape (n_data, ...).

    Raises:
        ValueError: They differ in length.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        lengths = {name: len(tensor) for name, tensor in tensors.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"The tensors of a data set must be equally long, got lengths {lengths}.")
        self._tensors = dict(tensors)
        self._n_data = next(iter(lengths.values()))

    def __len__(self) -> int:
        return self._n_data

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {name: _to_float(tensor[index]) for name, tensor in self._tensors.items()}

    @property
    def n_bytes(self) -> int:
        """What the tensors take in memory."""
        return sum(tensor.nbytes for tensor in self._tensors.values())

    def to(self, device: torch.device) -> "InMemoryDataset":
        """Give a copy on a device, where batches are selected and turned into floats from then on."""
        return InMemoryDataset({name: tensor.to(device) for name, tensor in self._tensors.items()})

    def get_batch(self, indices: Tensor) -> dict[str, Tensor]:
        """Give the data at ``indices``, an integer tensor of shape (batch,) on the device of the data."""
        return {name: _to_float(tensor.index_select(0, indices)) for name, tensor in self._tensors.items()}


def _to_float(tensor: Tensor) -> Tensor:
    return tensor.float().div_(255) if tensor.dtype == torch.uint8 else tensor
