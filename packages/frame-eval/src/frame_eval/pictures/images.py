"""Selection of images, and grids of images as log entries."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from frame_core import IMAGE_ENTRY, LogEntry

BORDER = 2
"""Width of the lines between images, in pixels."""


def make_grid_entry(images: Tensor, n_columns: int) -> LogEntry:
    """Arrange images in a grid, with values clamped to [0, 1].

    Args:
        images: Tensor of shape (n_images, channels, height, width) with 1 or 3 channels.
        n_columns: Number of images in a row.

    Raises:
        ValueError: ``images`` has another shape.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(
            "An image must have shape (channels, height, width) with 1 or 3 channels, "
            f"got shape {tuple(images.shape[1:])}."
        )
    grid = _make_grid(images.clamp(0, 1), n_columns)
    return LogEntry(data_type=IMAGE_ENTRY, value=grid.to("cpu", torch.float32))


def check_images(method: str, images: object) -> Tensor:
    """Return what a method of a model returns, if it is a tensor.

    Raises:
        TypeError: It is not a tensor. The message names the method.
    """
    if not isinstance(images, Tensor):
        raise TypeError(
            f"`{method}` must return a tensor, got a {type(images).__name__}. Return the mean or a sample of a "
            "distribution."
        )
    return images


def _make_grid(images: Tensor, n_columns: int) -> Tensor:
    """Arrange images in rows on black, like `torchvision.utils.make_grid`, whose import is slow."""
    if len(images) == 1:
        return images[0].expand(3, -1, -1)
    n_columns = min(n_columns, len(images))
    n_rows = -(-len(images) // n_columns)
    cells = pad(images.expand(-1, 3, -1, -1), (BORDER, 0, BORDER, 0))
    cells = torch.cat([cells, cells.new_zeros(n_rows * n_columns - len(images), *cells.shape[1:])])
    rows = cells.unflatten(0, (n_rows, n_columns)).permute(2, 0, 3, 1, 4)  # channels, rows, height, columns, width
    return pad(rows.flatten(3).flatten(1, 2), (0, BORDER, 0, BORDER))


def spread_indices(n_data: int, n_images: int) -> Tensor:
    """Return ``n_images`` equidistant indices of a data set of ``n_data`` examples, or all if it has fewer."""
    n_indices = min(n_data, n_images)
    return torch.arange(n_indices) * n_data // n_indices
