"""Small classifiers that come with this package, whose features compare generated with real examples.

A name has the data set and the first eight digits of the SHA-256 of the weights. So a stored run is evaluated with
the same weights, or refused. `python -m results classifier MNIST` trains a classifier and writes its weights.
"""

from collections.abc import Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor, nn

from frame_core import check_choice

__all__ = ["load_classifier", "load_features"]

FOLDER = Path(__file__).parent / "weights"
"""Folder of the weights, one file for each classifier: a list of the weight and the bias of each layer."""


def load_classifier(name: str) -> nn.Sequential:
    """Load a classifier from examples (batch, \\*x_shape) to logits (batch, n_labels).

    Each convolution halves an image. Linear layers follow. Every layer except the last has a ReLU.

    Args:
        name: Name of the classifier, such as ``Digits-549ff581``.

    Raises:
        ValueError: There is no classifier of that name, or its file is damaged.
    """
    layers = [_make_layer(weight, bias) for weight, bias in torch.load(BytesIO(_read(name)), weights_only=True)]
    n_convolutions = sum(isinstance(layer, nn.Conv2d) for layer in layers)
    *hidden, last = layers[n_convolutions:]
    return nn.Sequential(*_activate(layers[:n_convolutions]), nn.Flatten(), *_activate(hidden), last)


def load_features(name: str) -> nn.Sequential:
    """Load all layers of a classifier except the last, from examples (batch, \\*x_shape) to features.

    Args:
        name: Name of the classifier, such as ``Digits-549ff581``.

    Raises:
        ValueError: There is no classifier of that name, or its file is damaged.
    """
    return load_classifier(name)[:-1]


def _read(name: str) -> bytes:
    names = sorted(path.stem for path in FOLDER.glob("*.pt"))
    path = FOLDER / f"{check_choice('name', name, names)}.pt"
    content = path.read_bytes()
    if not sha256(content).hexdigest().startswith(name.rpartition("-")[2]):
        raise ValueError(f"`name`: the weights of {name!r} in {str(path)!r} are damaged. Install frame-eval again.")
    return content


def _make_layer(weight: Tensor, bias: Tensor) -> nn.Conv2d | nn.Linear:
    """Make a convolution of a weight with four dimensions, and a linear layer of another."""
    sizes = (weight.shape[1], weight.shape[0])
    layer = nn.Conv2d(*sizes, weight.shape[2], stride=2, padding=1) if weight.ndim == 4 else nn.Linear(*sizes)
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer.requires_grad_(False)


def _activate(layers: Sequence[nn.Module]) -> list[nn.Module]:
    return [module for layer in layers for module in (layer, nn.ReLU())]
