"""Conversion of entries to the formats of the loggers: named numbers, images, bins and table cells."""

from dataclasses import dataclass
from io import BytesIO
from numbers import Integral, Real
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from frame_core import IMAGE_ENTRY, LogEntry


def make_image_tensor(log_entry: LogEntry) -> Tensor:
    """Convert an image or plot entry to a uint8 tensor (channels, height, width). The figure is not modified."""
    if log_entry.data_type == IMAGE_ENTRY:
        return log_entry.value
    png = BytesIO()
    log_entry.value.savefig(png, format="png")
    image = Image.open(png).convert("RGBA")
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return pixels.view(image.height, image.width, 4).permute(2, 0, 1)


def make_pil_image(log_entry: LogEntry) -> Image.Image:
    """Convert an image or plot entry to a PIL image."""
    pixels = make_image_tensor(log_entry).permute(1, 2, 0)
    return Image.fromarray((pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).contiguous().numpy())


@dataclass(frozen=True)
class Bins:
    """Edges of the bins of a histogram, number of values in each bin, and number of non-finite values."""

    edges: Tensor
    counts: Tensor
    n_non_finite: int


def make_bins(values: Tensor, n_bins: int = 64) -> Bins:
    """Count values (n,) in bins of equal width from the smallest to the largest finite value."""
    finite = values[values.isfinite()].double()
    low, high = (bound.item() for bound in finite.aminmax()) if len(finite) else (0.0, 0.0)
    if low == high:
        margin = max(0.5, abs(low) * 1e-6)  # wide enough for distinct edges, even of a huge value
        low, high = low - margin, high + margin
    counts, edges = torch.histogram(finite, bins=n_bins, range=(low, high))
    return Bins(edges, counts.long(), len(values) - len(finite))


def make_plain(cell: Any) -> str | float | bool | None:
    """Convert a cell of a table to a number, a string, a Boolean or None."""
    if isinstance(cell, Tensor):
        cell = cell.tolist()
    if cell is None or isinstance(cell, str | bool):
        return cell
    if isinstance(cell, Integral):
        return int(cell)
    return float(cell) if isinstance(cell, Real) else str(cell)
