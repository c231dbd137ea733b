"""Quantities that a model computes for a batch: its loss, and what is logged with it."""

from collections.abc import Mapping

import torch
from torch import Tensor


def as_tensors(quantities: Mapping[str, Tensor | float]) -> dict[str, Tensor]:
    """Return quantities as tensors: a number becomes a scalar tensor on the device of the tensors.

    Args:
        quantities: Quantities in the format of `Model.compute_loss`.
    """
    device = next((value.device for value in quantities.values() if isinstance(value, Tensor)), None)
    return {
        name: value if isinstance(value, Tensor) else torch.tensor(float(value), device=device)
        for name, value in quantities.items()
    }
