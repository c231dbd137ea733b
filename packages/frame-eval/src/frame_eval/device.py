"""Where the model is, and the data with it."""

from itertools import chain

import torch
from torch import nn


def get_device(model: nn.Module) -> torch.device:
    """Give the device of a model's parameters and buffers, the CPU where it has none."""
    tensors = chain(model.parameters(), model.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))
