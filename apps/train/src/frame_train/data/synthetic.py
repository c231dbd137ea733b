"""Synthetic examples in the form of a data set."""

from collections.abc import Sequence

import torch
from torch import Tensor


class SyntheticDataset:
    """Random examples, each a function of its index, for a dry run without files.

    ``x`` is uniform in [0, 1); ``y``, if there are labels, cycles through them.

    Args:
        n_data: Number of examples.
        x_shape: Shape of the ``x`` of one example.
        n_labels: Number of labels; None for examples without labels.
    """

    def __init__(self, n_data: int, x_shape: Sequence[int], n_labels: int | None = None) -> None:
        self._n_data = n_data
        self._x_shape = tuple(x_shape)
        self._n_labels = n_labels

    def __len__(self) -> int:
        return self._n_data

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {name: value[0] for name, value in self.get_batch(torch.tensor([index])).items()}

    def get_batch(self, indices: Tensor) -> dict[str, Tensor]:
        """Return the examples at ``indices``, an integer tensor of shape (batch,)."""
        batch = {"x": torch.stack([self._make_x(index) for index in indices.tolist()])}
        return batch if self._n_labels is None else {**batch, "y": indices % self._n_labels}

    def _make_x(self, index: int) -> Tensor:
        return torch.rand(self._x_shape, generator=torch.Generator().manual_seed(index))
