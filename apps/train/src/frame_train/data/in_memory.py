"""In-memory data sets."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.utils.data import Dataset


class InMemoryDataset(Dataset[dict[str, Tensor]]):
    """Tensors of equal length, whose batches are indexed at once.

    Tensors of bytes are images: they are stored as bytes and returned as floats in [0, 1].

    Args:
        tensors: The tensors by name, each of shape (n_examples, ...).

    Raises:
        ValueError: The tensors differ in length.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        lengths = {name: len(tensor) for name, tensor in tensors.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"`tensors` must be equally long, got lengths {lengths}.")
        self._tensors = dict(tensors)
        self._n_examples = next(iter(lengths.values()))

    def __len__(self) -> int:
        return self._n_examples

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {name: _to_float(tensor[index]) for name, tensor in self._tensors.items()}

    @property
    def n_bytes(self) -> int:
        """Size of the tensors in bytes."""
        return sum(tensor.nbytes for tensor in self._tensors.values())

    def to(self, device: torch.device) -> "InMemoryDataset":
        """Return a copy on a device, on which batches are then indexed and converted to floats."""
        return InMemoryDataset({name: tensor.to(device) for name, tensor in self._tensors.items()})

    def get_batch(self, indices: Tensor) -> dict[str, Tensor]:
        """Return the examples at ``indices``, an integer tensor of shape (batch,) on the device of the data set."""
        return {name: _to_float(tensor.index_select(0, indices)) for name, tensor in self._tensors.items()}


def _to_float(tensor: Tensor) -> Tensor:
    return tensor.float().div_(255) if tensor.dtype == torch.uint8 else tensor
