"""Copies of MNIST, as a data set that fills the memory."""

from pathlib import Path

from benchmarks.floor import read_pictures
from frame_train.data import InMemoryDataset


def repeat(root: str, copies: int) -> InMemoryDataset:
    """Return copies of the training images."""
    return InMemoryDataset({"x": read_pictures(Path(root)).view(-1, 1, 28, 28).repeat(copies, 1, 1, 1)})
