"""Weights of the small classifiers of frame-eval."""

from hashlib import sha256
from io import BytesIO
from pathlib import Path

import torch
from torch import nn

from frame_eval.small_classifier import FOLDER
from frame_train import load_run
from results.runs import train
from results.table import Row

ROWS = {
    "Digits": "DIGITS_Classifier",
    "FashionMNIST": "FashionMNIST_Classifier_conv",
    "MNIST": "MNIST_Classifier_conv",
}
"""The row whose run with the seed 0 is the classifier of a data set."""


def write_classifier(name: str, row: Row, runs: Path, data_root: Path | None) -> str:
    """Train the classifier of a data set, unless that is done, and write its weights for frame-eval.

    Args:
        name: Name of the data set.
        row: The row of the classifier.
        runs: Folder of the run directories.
        data_root: Folder of the data sets; None for that of the device config.

    Returns:
        The name of the classifier in frame-eval.

    Raises:
        TrainingError: The training failed.
    """
    return save_weights(name, load_run(train(row, 0, runs, data_root).directory).model)


def save_weights(name: str, model: nn.Module) -> str:
    """Save the weight and the bias of each layer of a classifier, in order, where frame-eval loads them.

    Returns:
        The name of the data set and the first digits of the SHA-256 of the file.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    content = BytesIO()
    torch.save([[layer.weight.detach(), layer.bias.detach()] for layer in layers], content)
    name = f"{name}-{sha256(content.getvalue()).hexdigest()[:8]}"
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.pt").write_bytes(content.getvalue())
    return name
