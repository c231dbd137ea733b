"""Rendered shapes with known factors of variation."""

import math

import torch
from torch import Tensor

from frame_train.data.in_memory import InMemoryDataset
from frame_train.data.sources.splits import Splits

_N_VALUES = (3, 4, 8, 8, 8, 6)  # of shape, scale, rotation, column, row and color
_SIZE = 32
_SPLITS = Splits(
    {"train": range(30_000), "valid": range(30_000, 33_432), "test": range(33_432, 36_864)},
    x_shape=(3, _SIZE, _SIZE),
    n_labels=_N_VALUES[0],
)
_COLORS = ((1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1))


class Shapes(InMemoryDataset):
    """36,864 images of one colored shape: 30,000 to train, 3,432 to validate, 3,432 to test.

    There is one image for each combination of the factors: three shapes (a square, an ellipse, a triangle), four
    scales, eight rotations of less than a right angle, eight columns, eight rows and six colors. ``x`` is in [0, 1] and
    has shape (3, 32, 32); ``y`` is the shape; ``factors`` has the index of the value of each factor, and shape (6,).

    Args:
        split: ``train``, ``valid`` or ``test``, each a random choice of the combinations that is always the same.

    Raises:
        ValueError: The split does not exist.

    References:
        After the design of dSprites: Disentanglement testing Sprites dataset (Matthey et al., 2017),
        https://github.com/google-deepmind/dsprites-dataset
    """

    def __init__(self, split: str) -> None:
        rows = _SPLITS.get_range(split)
        values = [torch.arange(n_values) for n_values in _N_VALUES]
        combinations = torch.cartesian_prod(*values)
        order = torch.randperm(len(combinations), generator=torch.Generator().manual_seed(0))
        factors = combinations[order[rows.start : rows.stop]]
        x = torch.cat([_render(part).mul(255).round().byte() for part in factors.split(1000)])
        super().__init__({"x": x, "y": factors[:, 0].clone(), "factors": factors})

    @classmethod
    def synthesize(cls, split: str) -> "Shapes":
        """Return the test examples, which have the same form and need no file.

        Raises:
            ValueError: The split does not exist.
        """
        _SPLITS.get_range(split)
        return cls("test")


def _render(factors: Tensor) -> Tensor:
    """Render images of shape (batch, 3, size, size), in coordinates from -1 to 1, the rows downwards."""
    shape, scale, rotation, column, row, color = factors.view(-1, 6, 1, 1).unbind(1)
    axis = (torch.arange(_SIZE) + 0.5) * 2 / _SIZE - 1
    right, down = axis - (column - 3.5) / 7, axis.view(-1, 1) - (row - 3.5) / 7  # from the center of the shape
    angle, radius = rotation * math.pi / 16, 0.18 + 0.06 * scale
    u = (right * angle.cos() + down * angle.sin()) / radius
    v = (down * angle.cos() - right * angle.sin()) / radius
    distance = torch.where(shape == 0, _square(u, v), torch.where(shape == 1, _ellipse(u, v), _triangle(u, v)))
    coverage = (0.5 - distance * radius * _SIZE / 2).clamp(0, 1)  # of each pixel, so that edges are smooth
    return coverage.unsqueeze(1) * torch.tensor(_COLORS)[color.view(-1)].view(-1, 3, 1, 1)


# The distance of a point to the edge of a shape, negative inside.


def _square(u: Tensor, v: Tensor) -> Tensor:
    return torch.maximum(u.abs(), v.abs()) - 0.8


def _ellipse(u: Tensor, v: Tensor) -> Tensor:
    """Compute the distance to an ellipse with semi-axes 1 and 1/2, to first order."""
    length = (u**2 + 4 * v**2).sqrt()
    return length * (length - 1) / (u**2 + 16 * v**2).sqrt().clamp(min=1e-6)


def _triangle(u: Tensor, v: Tensor) -> Tensor:
    """Compute the distance to an equilateral triangle with an incircle of radius 1/2."""
    return torch.maximum(v, math.sqrt(3) / 2 * u.abs() - v / 2) - 0.5
