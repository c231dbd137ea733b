"""Data that are made up, in the form of others."""

from collections.abc import Sequence

import torch
from torch import Tensor


class SyntheticDataset:
    """Random data, each a function of its index: what a config is tried with, and no file is read for.

    ``x`` is even in [0, 1), and ``y``, where there are labels, goes through them in turn.

    Args:
        n_data: Number of data.
        x_shape: Shape of ``x``, of one datum.
        n_labels: Number of labels; None for data without.
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
        """Give the data at ``indices``, an integer tensor of shape (batch,)."""
        batch = {"x": torch.stack([self._make_x(index) for index in indices.tolist()])}
        return batch if self._n_labels is None else {**batch, "y": indices % self._n_labels}

    def _make_x(self, index: int) -> Tensor:
        return torch.rand(self._x_shape, generator=torch.Generator().manual_seed(index))
