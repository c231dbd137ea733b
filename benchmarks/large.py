"""Copies of MNIST, as a large in-memory data set."""

from pathlib import Path

from benchmarks.floor import read_pictures
from frame_train.data import InMemoryDataset


def repeat(root: str, copies: int) -> InMemoryDataset:
    """Return copies of the training images."""
    return InMemoryDataset({"x": read_pictures(Path(root)).view(-1, 1, 28, 28).repeat(copies, 1, 1, 1)})
