"""Device and precision of a model."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn


def get_device(model: nn.Module) -> torch.device:
    """Return the device of the parameters and buffers of a model, or the CPU if it has none."""
    tensors = chain(model.parameters(), model.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


def move_to_model(data: Tensor, model: nn.Module) -> Tensor:
    """Move data to the device of a model, and floating-point data to the precision of its parameters."""
    precisions = (parameter.dtype for parameter in model.parameters() if parameter.is_floating_point())
    precision = next(precisions, data.dtype) if data.is_floating_point() else data.dtype
    return data.to(get_device(model), precision)


def move_batch_to_model(batch: Mapping[str, Any], model: nn.Module) -> dict[str, Any]:
    """Move each tensor of a batch as `move_to_model` does; leave lists, such as texts, unchanged."""
    return {name: move_to_model(value, model) if isinstance(value, Tensor) else value for name, value in batch.items()}
