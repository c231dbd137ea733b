"""Data sets made of another one, batch by batch."""

from abc import ABC, abstractmethod
from copy import copy
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils.data import Dataset

from frame_core import SizedDataset, get_batch
from frame_train.data.placement import count_bytes, move


class TransformedDataset(Dataset[dict[str, Any]], ABC):
    """A data set whose batches are those of another one, changed by `transform_batch`.

    It is read like the other one: by data-loading workers, or from memory, on the GPU if it fits there.

    Args:
        data_set: The other data set.
    """

    def __init__(self, data_set: SizedDataset) -> None:
        self.data_set = data_set

    @abstractmethod
    def transform_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return a batch of this data set, given one of the other.

        Randomness comes from torch's global generators, on the device of the batch; they are seeded before each batch.
        """

    def __len__(self) -> int:
        return len(self.data_set)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {name: value[0] for name, value in self.get_batch(torch.tensor([index])).items()}

    def get_batch(self, indices: Tensor) -> dict[str, Any]:
        """Return the examples at ``indices``, an integer tensor of shape (batch,)."""
        return self.transform_batch(get_batch(self.data_set, indices))

    @property
    def n_bytes(self) -> int | None:
        """Size of the data set in bytes; None if it can't be moved to a device."""
        return count_bytes(self.data_set)

    def to(self, device: torch.device) -> Self:
        """Return a copy on a device, where `transform_batch` is then applied."""
        moved = copy(self)
        moved.data_set = move(self.data_set, device)
        return moved
