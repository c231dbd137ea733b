"""Two views of each example."""

import math
from copy import copy

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from frame_core import MovableDataset, SizedDataset, get_batch, get_tensor


class TwoViews:
    """A data set whose batches also contain two views of ``x``, named ``v1`` and ``v2``.

    Each view is ``x`` after its own random shear, scaling, rotation and shift, in this order, with some pixels set to
    zero. Unlike the views of the paper, those of torchvision's `RandomAffine`, they are interpolated bilinearly, and
    shifts are not rounded to whole pixels.

    Args:
        data_set: A data set in which each ``x`` is an image of shape (channels, height, width).
        rotation: Maximum rotation in either direction, in degrees.
        scaling: Maximum enlargement or reduction, as a fraction.
        shear: Maximum shear along the rows in either direction, in degrees.
        shift: Maximum shift in each direction, as a fraction of the size of the image.
        corruption: Probability that a pixel is set to zero.

    References:
        The views of MNIST in Learning Robust Representations via Multi-View Information Bottleneck
        (Federici et al., 2020), https://arxiv.org/abs/2002.07017
    """

    def __init__(
        self,
        data_set: SizedDataset,
        rotation: float = 15.0,
        scaling: float = 0.1,
        shear: float = 15.0,
        shift: float = 0.1,
        corruption: float = 0.2,
    ) -> None:
        self._data_set = data_set
        self._rotation = math.radians(rotation)
        self._scaling = scaling
        self._shear = math.radians(shear)
        self._shift = shift
        self._corruption = corruption

    def __len__(self) -> int:
        return len(self._data_set)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {name: value[0] for name, value in self.get_batch(torch.tensor([index])).items()}

    @property
    def n_bytes(self) -> int | None:
        """Size of the data set in bytes; None if it can't be moved to a device."""
        return self._data_set.n_bytes if isinstance(self._data_set, MovableDataset) else None

    def to(self, device: torch.device) -> "TwoViews":
        """Return a copy on a device, where the views are then made."""
        assert isinstance(self._data_set, MovableDataset)  # `n_bytes` is None otherwise
        views = copy(self)
        views._data_set = self._data_set.to(device)
        return views

    def get_batch(self, indices: Tensor) -> dict[str, Tensor]:
        """Return the examples at ``indices``, an integer tensor of shape (batch,), each with two views."""
        batch = get_batch(self._data_set, indices)
        x = get_tensor(batch, "x")
        return {**batch, "v1": self._view(x), "v2": self._view(x)}

    def _view(self, x: Tensor) -> Tensor:
        angle, scale = self._rotation * _draw(x), 1 + self._scaling * _draw(x)
        shear, shift = self._shear * _draw(x), self._shift * torch.stack([_draw(x), _draw(x)], dim=1)
        moved = transform_affinely(x, angle, scale, shear, shift)
        return moved * (torch.rand_like(moved) >= self._corruption)


def transform_affinely(x: Tensor, angle: Tensor, scale: Tensor, shear: Tensor, shift: Tensor) -> Tensor:
    """Shear, scale, rotate and shift square images, in this order, about their centre.

    Args:
        x: Images of shape (batch, channels, size, size). Pixels from outside of an image are zero.
        angle: Clockwise rotation of each image, in radians, of shape (batch,).
        scale: Factor of each image, of shape (batch,).
        shear: Angle by which vertical lines of each image lean to the right, in radians, of shape (batch,).
        shift: Shift to the right and down, as fractions of the size of the image, of shape (batch, 2).
    """
    cos, sin, tan = torch.cos(angle), torch.sin(angle), torch.tan(shear)
    # Each pixel of the result is read at the place that the inverse, scaling^-1 shear^-1 rotation^-1, maps it to.
    rows = torch.stack([cos - sin * tan, sin + cos * tan], dim=1), torch.stack([-sin, cos], dim=1)
    inverse = torch.stack(rows, dim=1) / scale.view(-1, 1, 1)
    origin = -inverse @ (2 * shift).unsqueeze(2)  # the coordinates of an image go from -1 to 1
    grid = affine_grid(torch.cat([inverse, origin], dim=2), list(x.shape), align_corners=False)
    return grid_sample(x, grid, align_corners=False)


def _draw(x: Tensor) -> Tensor:
    """Draw a uniform number from [-1, 1) for each image."""
    return 2 * torch.rand(len(x), device=x.device) - 1
