"""From entries to the forms that back ends take: numbers by name, pictures, bins and plain table cells."""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from numbers import Integral, Real
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from frame_core import IMAGE_ENTRY, LogEntry

GLOBAL_STEP = "trainer/global_step"
"""The step axis, under the name that Lightning gives it on W&B."""


def prefix_counters(counters: Mapping[str, int] | None) -> dict[str, int]:
    """Give the counters under the names they are logged by."""
    return {f"counters/{name}": count for name, count in (counters or {}).items()}


def make_image(log_entry: LogEntry) -> Tensor:
    """Give an image or plot entry as a uint8 tensor (channels, height, width); the figure stays as it is."""
    if log_entry.data_type == IMAGE_ENTRY:
        return log_entry.value
    png = BytesIO()
    log_entry.value.savefig(png, format="png")
    picture = Image.open(png).convert("RGBA")
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return pixels.view(picture.height, picture.width, 4).permute(2, 0, 1)


def make_picture(log_entry: LogEntry) -> Image.Image:
    """Give an image or plot entry as a picture of pillow's."""
    pixels = make_image(log_entry).permute(1, 2, 0)
    return Image.fromarray((pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).contiguous().numpy())


@dataclass(frozen=True)
class Bins:
    """How many values fall between every two edges; values that are not finite fall nowhere."""

    edges: Tensor
    counts: Tensor
    n_non_finite: int


def make_bins(values: Tensor, n_bins: int = 64) -> Bins:
    """Count values (n,) in equally wide bins from the least to the greatest finite one."""
    finite = values[values.isfinite()].double()
    low, high = (bound.item() for bound in finite.aminmax()) if len(finite) else (0.0, 0.0)
    if low == high:
        margin = max(0.5, abs(low) * 1e-6)  # wide enough for the edges of a huge value to differ
        low, high = low - margin, high + margin
    counts, edges = torch.histogram(finite, bins=n_bins, range=(low, high))
    return Bins(edges, counts.long(), len(values) - len(finite))


def make_plain(cell: Any) -> str | float | bool | None:
    """Give a cell of a table as a number, a string, a truth value or None."""
    if isinstance(cell, Tensor):
        cell = cell.tolist()
    if cell is None or isinstance(cell, str | bool):
        return cell
    if isinstance(cell, Integral):
        return int(cell)
    return float(cell) if isinstance(cell, Real) else str(cell)
