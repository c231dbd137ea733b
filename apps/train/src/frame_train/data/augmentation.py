"""Random changes of training pictures, made on whole batches where the model is."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from frame_core import check_count, get_tensor

Augmentation = Callable[[Tensor], Tensor]
"""From pictures of shape (batch, channels, height, width) to as many pictures.

It draws from torch's global generators, which are seeded before each batch.
"""


def augment(batch: dict[str, Tensor], augmentation: Augmentation) -> None:
    """Put augmented pictures in the place of ``x`` in a batch.

    Raises:
        ValueError: There is no ``x``, or views of it beside it; or what comes back are not as many pictures.
    """
    x = get_tensor(batch, "x")
    others = [name for name, value in batch.items() if name != "x" and value.shape == x.shape]
    if others:
        raise ValueError(
            f"`augmentation` changes `x` alone, and these data have {', '.join(map(repr, others))} made from it: "
            "let the data set change its pictures, or leave `augmentation` out."
        )
    augmented: Any = augmentation(x)
    if not isinstance(augmented, Tensor) or len(augmented) != len(x):
        found = tuple(augmented.shape) if isinstance(augmented, Tensor) else type(augmented).__name__
        raise ValueError(f"`augmentation` must give as many pictures as it was given, {tuple(x.shape)}, got {found}.")
    batch["x"] = augmented


class RandomShift(nn.Module):
    """Moves each picture by whole pixels, each in a direction of its own; what comes in from outside is zero.

    Args:
        n_pixels: Greatest shift up, down, left and right.

    Raises:
        ValueError: ``n_pixels`` is not positive.
    """

    def __init__(self, n_pixels: int) -> None:
        super().__init__()
        self._n_pixels = check_count("n_pixels", n_pixels)

    def forward(self, x: Tensor) -> Tensor:
        """Move pictures of shape (batch, channels, height, width)."""
        n_data, n_channels, height, width = x.shape
        rows, columns = (
            (torch.arange(size, device=x.device) + self._draw(x)).unsqueeze(1).unsqueeze(dim)
            for size, dim in ((height, 3), (width, 2))
        )
        data = torch.arange(n_data, device=x.device).view(-1, 1, 1, 1)
        channels = torch.arange(n_channels, device=x.device).view(-1, 1, 1)
        return pad(x, [self._n_pixels] * 4)[data, channels, rows, columns]

    def _draw(self, x: Tensor) -> Tensor:
        """Draw where each picture begins in its padded form, of shape (batch, 1)."""
        return torch.randint(2 * self._n_pixels + 1, (len(x), 1), device=x.device)
