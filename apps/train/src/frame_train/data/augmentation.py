"""Augmentation of batches of training images, on the device of the model."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from frame_core import check_count, get_tensor

Augmentation = Callable[[Tensor], Tensor]
"""Function from images of shape (batch, channels, height, width) to as many images.

It draws from torch's global generators, which are seeded before each batch.
"""


def augment(batch: dict[str, Any], augmentation: Augmentation, own: slice | None = None) -> None:
    """Replace the images ``x`` of a batch by augmented ones.

    Args:
        batch: The batch; it is changed.
        augmentation: The augmentation.
        own: Slice that selects ``batch`` from the batch of all processes; its step is the number of processes. The
            augmentation draws for the batch of all, so that the draws do not depend on this number. None for a single
            process.

    Raises:
        ValueError: The batch has no ``x``, it has views of ``x``, or the augmentation returns another number of images.
    """
    x = get_tensor(batch, "x")
    tensors = {name: value for name, value in batch.items() if isinstance(value, Tensor)}
    others = [name for name, value in tensors.items() if name != "x" and value.shape == x.shape]
    if others:
        raise ValueError(
            f"`augmentation` changes only `x`, but the data also have {', '.join(map(repr, others))} of its shape. "
            "Augment in the data set, or remove `augmentation`."
        )
    augmented: Any = augmentation(x if own is None else x.repeat_interleave(own.step, 0))
    if own is not None and isinstance(augmented, Tensor):
        augmented = augmented[own]
    if not isinstance(augmented, Tensor) or len(augmented) != len(x):
        found = tuple(augmented.shape) if isinstance(augmented, Tensor) else type(augmented).__name__
        raise ValueError(f"`augmentation` must return as many images as it receives, {tuple(x.shape)}, got {found}.")
    batch["x"] = augmented


class RandomShift(nn.Module):
    """Shifts each image by whole pixels in a random direction; pixels from outside of the image are zero.

    Args:
        n_pixels: Greatest shift up, down, left and right.

    Raises:
        ValueError: ``n_pixels`` is not positive.
    """

    def __init__(self, n_pixels: int) -> None:
        super().__init__()
        self._n_pixels = check_count("n_pixels", n_pixels)

    def forward(self, x: Tensor) -> Tensor:
        """Shift images of shape (batch, channels, height, width).

        Raises:
            ValueError: A shift could leave nothing of an image.
        """
        n_images, n_channels, height, width = x.shape
        if self._n_pixels >= min(height, width):
            raise ValueError(
                f"`n_pixels` must be less than the {min(height, width)} pixels of an image, got {self._n_pixels}."
            )
        rows, columns = (
            (torch.arange(size, device=x.device) + self._draw(x)).unsqueeze(1).unsqueeze(dim)
            for size, dim in ((height, 3), (width, 2))
        )
        images = torch.arange(n_images, device=x.device).view(-1, 1, 1, 1)
        channels = torch.arange(n_channels, device=x.device).view(-1, 1, 1)
        return pad(x, [self._n_pixels] * 4)[images, channels, rows, columns]

    def _draw(self, x: Tensor) -> Tensor:
        """Draw where each image starts in its padded form, of shape (batch, 1)."""
        return torch.randint(2 * self._n_pixels + 1, (len(x), 1), device=x.device)
