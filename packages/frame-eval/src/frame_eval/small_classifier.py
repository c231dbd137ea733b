"""Small classifiers that come with this package, whose features compare generated with real examples.

`python -m results classifier Digits` trains one and writes its weights.
"""

from hashlib import sha256
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor, nn

from frame_core import check_choice

FOLDER = Path(__file__).parent / "weights"
"""Folder of the weights, one file for each data set: a list of the weight and the bias of each layer."""


def load_classifier(name: str) -> nn.Sequential:
    """Load a multilayer perceptron from examples (batch, \\*x_shape) to logits (batch, n_labels).

    Args:
        name: Name of the data set, such as ``Digits``.

    Raises:
        ValueError: There is no classifier of that name.
    """
    layers = [_make_linear(weight, bias) for weight, bias in torch.load(_get_path(name), weights_only=True)]
    return nn.Sequential(nn.Flatten(), *chain.from_iterable((layer, nn.ReLU()) for layer in layers[:-1]), layers[-1])


def load_features(name: str) -> nn.Sequential:
    """Load all layers of a classifier except the last, from examples (batch, \\*x_shape) to features.

    Args:
        name: Name of the data set, such as ``Digits``.

    Raises:
        ValueError: There is no classifier of that name.
    """
    return load_classifier(name)[:-1]


def compute_hash(name: str) -> str:
    """Return the first eight digits of the SHA-256 of the weights, which names of metrics contain.

    Raises:
        ValueError: There is no classifier of that name.
    """
    return sha256(_get_path(name).read_bytes()).hexdigest()[:8]


def _get_path(name: str) -> Path:
    names = sorted(path.stem for path in FOLDER.glob("*.pt"))
    return FOLDER / f"{check_choice('name', name, names)}.pt"


def _make_linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer.requires_grad_(False)
