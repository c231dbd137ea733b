"""Which pictures to show, and several of them as one entry."""

import torch
from torch import Tensor

from frame_core import IMAGE_ENTRY, LogEntry


def make_grid_entry(pictures: Tensor, n_columns: int) -> LogEntry:
    """Arrange pictures in rows, their values clamped to [0, 1].

    Args:
        pictures: Tensor of shape (n_pictures, channels, height, width) with 1 or 3 channels.
        n_columns: Number of pictures in a row.

    Raises:
        ValueError: The tensor has another shape.
    """
    from torchvision.utils import make_grid  # pyright: ignore[reportMissingTypeStubs]  # here: it is slow to import

    if pictures.ndim != 4 or pictures.shape[1] not in (1, 3):
        raise ValueError(
            "A picture must have shape (channels, height, width) with 1 or 3 channels, "
            f"got data of shape {tuple(pictures.shape[1:])}."
        )
    grid: Tensor = make_grid(pictures.clamp(0, 1), nrow=n_columns)
    return LogEntry(data_type=IMAGE_ENTRY, value=grid.to("cpu", torch.float32))


def spread_indices(n_data: int, n_pictures: int) -> Tensor:
    """Give as many indices as there are pictures, or data where they are fewer, at equal distances."""
    n_indices = min(n_data, n_pictures)
    return torch.arange(n_indices) * n_data // n_indices
