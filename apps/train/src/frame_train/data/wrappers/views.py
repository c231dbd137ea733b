"""Two views of each example."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from frame_core import SizedDataset, get_tensor
from frame_train.data.augmentation import Augmentation
from frame_train.data.wrappers.transformed import TransformedDataset


class TwoViews(TransformedDataset):
    """A data set whose batches also contain two views of ``x``, named ``v1`` and ``v2``.

    Args:
        data_set: A data set.
        transform: Function from the ``x`` of a batch to a random view of each; None for a `RandomView` of images.

    Raises:
        TypeError: ``transform`` is not callable.
    """

    def __init__(self, data_set: SizedDataset, transform: Augmentation | None = None) -> None:
        super().__init__(data_set)
        self._view = RandomView() if transform is None else transform
        if not callable(self._view):
            raise TypeError(
                "`transform` must be a function of a batch of images, such as `frame_train.data.RandomView`, "
                f"got {transform!r}."
            )

    def transform_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return a batch with two views of its ``x``."""
        x = get_tensor(batch, "x")
        return {**batch, "v1": self._view(x), "v2": self._view(x)}


class RandomView:
    """Changes each image by its own random rotation, shift, scaling and shear, and sets some pixels to zero.

    The defaults are those of the paper, with two differences: the shift is not rounded to whole pixels, and pixels are
    interpolated linearly.

    Args:
        rotation: Maximum rotation in either direction, in degrees.
        shift: Maximum shift in each direction, as a fraction of the size of the image.
        scaling: Maximum enlargement or reduction, as a fraction.
        shear: Maximum horizontal shear in either direction, in degrees.
        corruption: Probability that a pixel is set to zero, in all channels.

    References:
        The views of MNIST in Learning Robust Representations via Multi-View Information Bottleneck
        (Federici et al., 2020), https://arxiv.org/abs/2002.07017
    """

    def __init__(
        self,
        rotation: float = 15.0,
        shift: float = 0.1,
        scaling: float = 0.1,
        shear: float = 15.0,
        corruption: float = 0.2,
    ) -> None:
        self._rotation = math.radians(rotation)
        self._shift = shift
        self._scaling = scaling
        self._shear = math.radians(shear)
        self._corruption = corruption

    def __call__(self, x: Tensor) -> Tensor:
        """Change images of shape (batch, channels, height, width)."""
        view = transform_affinely(
            x,
            rotation=self._rotation * _draw(x),
            shift=2 * self._shift * torch.stack([_draw(x), _draw(x)], dim=1),
            scale=1 + self._scaling * _draw(x),
            shear=self._shear * _draw(x),
        )
        return view * (torch.rand_like(view[:, :1]) >= self._corruption)


def transform_affinely(x: Tensor, rotation: Tensor, shift: Tensor, scale: Tensor, shear: Tensor) -> Tensor:
    """Shear, rotate and scale each image about its center, then shift it; pixels from outside the image are zero.

    Args:
        x: Images of shape (batch, channels, height, width).
        rotation: Angles in radians, clockwise, of shape (batch,).
        shift: Shifts to the right and down, as fractions of half the size of an image, of shape (batch, 2).
        scale: Factors of shape (batch,).
        shear: Angles in radians, of shape (batch,).
    """
    cos, sin, tan = torch.cos(rotation), torch.sin(rotation), torch.tan(shear)
    ratio = x.shape[2] / x.shape[3]  # coordinates run from -1 to 1 in both directions
    # (scale · R · [[1, -tan], [0, 1]])⁻¹ leads from a pixel of the view to one of the image, both from the center
    rows = torch.stack([cos - tan * sin, (sin + tan * cos) * ratio, -sin / ratio, cos], dim=1)
    inverse = rows.view(-1, 2, 2) / scale.view(-1, 1, 1)
    offset = -inverse @ shift.unsqueeze(2)
    grid = affine_grid(torch.cat([inverse, offset], dim=2), list(x.shape), align_corners=False)
    return grid_sample(x, grid, align_corners=False)


def _draw(x: Tensor) -> Tensor:
    """Draw a uniform number from [-1, 1) for each image."""
    return 2 * torch.rand(len(x), device=x.device, dtype=x.dtype) - 1
