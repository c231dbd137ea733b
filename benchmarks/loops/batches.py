"""Batches of the data in memory, read by hand."""

from collections.abc import Iterator, Mapping
from math import pi

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from benchmarks.loops.method import Batch, Method


def read_batches(tensors: Mapping[str, Tensor], batch_size: int, method: Method) -> Iterator[tuple[float, Batch]]:
    """Yield shuffled batches forever, each with the number of complete epochs and its fraction."""
    n_examples = len(next(iter(tensors.values())))
    epoch = 0
    while True:
        shuffled = torch.randperm(n_examples).split(batch_size)
        for index, indices in enumerate(shuffled):
            batch = {name: read(tensors[name], indices) for name in method.reads}
            yield epoch + index / len(shuffled), batch if method.transform is None else method.transform(batch)
        epoch += 1


def read(tensor: Tensor, indices: Tensor) -> Tensor:
    """Return the rows of a tensor; bytes become floats in [0, 1]."""
    rows = tensor.index_select(0, indices)
    return rows.float().div_(255) if rows.dtype == torch.uint8 else rows


def binarize(batch: Batch) -> Batch:
    """Draw each pixel of a batch."""
    return {"x": torch.bernoulli(batch["x"])}


def draw_views(batch: Batch) -> Batch:
    """Draw two views of the square images of a batch."""
    return {"v1": _draw_view(batch["x"]), "v2": _draw_view(batch["x"])}


def _draw_view(x: Tensor) -> Tensor:
    """Shear, rotate, scale and shift each image, then set a fifth of its pixels to zero."""
    rotation, right, down, scaling, shear = (2 * torch.rand(5, len(x)) - 1).unbind()
    cos, sin, tan = (rotation * pi / 12).cos(), (rotation * pi / 12).sin(), (shear * pi / 12).tan()
    a, b, c, d = (part / (1 + 0.1 * scaling) for part in (cos - tan * sin, sin + tan * cos, -sin, cos))
    theta = torch.stack([a, b, -0.2 * (a * right + b * down), c, d, -0.2 * (c * right + d * down)], 1).view(-1, 2, 3)
    view = grid_sample(x, affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)
    return view * (torch.rand_like(view) >= 0.2)
