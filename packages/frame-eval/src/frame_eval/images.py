"""Selection of images, and grids of images as log entries."""

import torch
from torch import Tensor

from frame_core import IMAGE_ENTRY, LogEntry


def make_grid_entry(images: Tensor, n_columns: int) -> LogEntry:
    """Arrange images in a grid, with values clamped to [0, 1].

    Args:
        images: Tensor of shape (n_images, channels, height, width) with 1 or 3 channels.
        n_columns: Number of images in a row.

    Raises:
        ValueError: ``images`` has another shape.
    """
    from torchvision.utils import make_grid  # pyright: ignore[reportMissingTypeStubs]  # slow to import

    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(
            "An image must have shape (channels, height, width) with 1 or 3 channels, "
            f"got shape {tuple(images.shape[1:])}."
        )
    grid: Tensor = make_grid(images.clamp(0, 1), nrow=n_columns)
    return LogEntry(data_type=IMAGE_ENTRY, value=grid.to("cpu", torch.float32))


def spread_indices(n_data: int, n_images: int) -> Tensor:
    """Return ``n_images`` equidistant indices of a data set of ``n_data`` examples, or all if it has fewer."""
    n_indices = min(n_data, n_images)
    return torch.arange(n_indices) * n_data // n_indices
