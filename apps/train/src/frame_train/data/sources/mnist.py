"""MNIST and data sets of the same format, in the folder layout of torchvision."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frame_core import check_choice
from frame_train.data.in_memory import InMemoryDataset
from frame_train.data.sources.published import provide
from frame_train.data.sources.splits import Splits
from frame_train.data.synthetic import SyntheticDataset


@dataclass(frozen=True)
class _Files:
    """The four IDX files of a data set: images and labels, for training and for testing.

    The last training examples, as many as test examples, are the validation examples.
    """

    train: str
    test: str
    n_train: int
    n_test: int
    n_labels: int
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Arguments of torchvision's class, for a download."""

    @property
    def splits(self) -> Splits:
        ranges = {
            "train": range(self.n_train - self.n_test),
            "valid": range(self.n_train - self.n_test, self.n_train),
            "train+valid": range(self.n_train),
            "test": range(self.n_test),
        }
        return Splits(ranges, x_shape=(1, 28, 28), n_labels=self.n_labels)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the contents of the files."""
        return {
            f"{prefix}-{content}-ubyte": (n_rows, *row_shape)
            for prefix, n_rows in ((self.train, self.n_train), (self.test, self.n_test))
            for content, row_shape in (("images-idx3", (28, 28)), ("labels-idx1", ()))
        }


_MNIST = _Files("train", "t10k", 60_000, 10_000, n_labels=10)
_EMNIST = {
    subset: _Files(f"emnist-{subset}-train", f"emnist-{subset}-test", n_train, n_test, n_labels, {"split": subset})
    for subset, n_train, n_test, n_labels in (
        ("balanced", 112_800, 18_800, 47),
        ("letters", 124_800, 20_800, 26),
        ("digits", 240_000, 40_000, 10),
    )
}
FILES = tuple(_MNIST.shapes)


def _synthesize(root: str, split: str, download: bool = False) -> SyntheticDataset:
    """Return as many synthetic examples of the same form, without reading any file."""
    return _MNIST.splits.synthesize(split)


class MNIST(InMemoryDataset):
    """70,000 handwritten digits of 28×28 pixels: 50,000 to train, 10,000 to validate, 10,000 to test.

    ``x`` is in [0, 1] and has shape (1, 28, 28); ``y`` is the digit. The validation examples are the last
    10,000 of the published training examples.

    Args:
        root: Folder that contains ``MNIST/raw`` with the four files, in the layout of torchvision.
        split: ``train``, ``valid``, ``train+valid`` (the published training examples) or ``test``.
        download: Whether to download missing files.

    Raises:
        FileNotFoundError: Files are missing, and were not or could not be downloaded.
        ValueError: There is no such split, or a file is not the published one.

    References:
        Gradient-based learning applied to document recognition (LeCun et al., 1998),
        http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf
    """

    def __init__(self, root: str, split: str, download: bool = False) -> None:
        super().__init__(_load("MNIST", _MNIST, Path(root), split, download))

    synthesize = staticmethod(_synthesize)


class FashionMNIST(InMemoryDataset):
    """70,000 images of clothes of 28×28 pixels, in the form and with the splits of `MNIST`.

    ``y`` is the kind of clothing: T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot.

    Args:
        root: Folder that contains ``FashionMNIST/raw`` with the four files, in the layout of torchvision.
        split: ``train``, ``valid``, ``train+valid`` (the published training examples) or ``test``.
        download: Whether to download missing files.

    Raises:
        FileNotFoundError: Files are missing, and were not or could not be downloaded.
        ValueError: There is no such split, or a file is not the published one.

    References:
        Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms (Xiao et al., 2017),
        https://arxiv.org/abs/1708.07747
    """

    def __init__(self, root: str, split: str, download: bool = False) -> None:
        super().__init__(_load("FashionMNIST", _MNIST, Path(root), split, download))

    synthesize = staticmethod(_synthesize)


class KMNIST(InMemoryDataset):
    """70,000 cursive Japanese characters of 28×28 pixels, in the form and with the splits of `MNIST`.

    ``y`` is the character: o, ki, su, tsu, na, ha, ma, ya, re, wo.

    Args:
        root: Folder that contains ``KMNIST/raw`` with the four files, in the layout of torchvision.
        split: ``train``, ``valid``, ``train+valid`` (the published training examples) or ``test``.
        download: Whether to download missing files.

    Raises:
        FileNotFoundError: Files are missing, and were not or could not be downloaded.
        ValueError: There is no such split, or a file is not the published one.

    References:
        Deep Learning for Classical Japanese Literature (Clanuwat et al., 2018), https://arxiv.org/abs/1812.01718
    """

    def __init__(self, root: str, split: str, download: bool = False) -> None:
        super().__init__(_load("KMNIST", _MNIST, Path(root), split, download))

    synthesize = staticmethod(_synthesize)


class EMNIST(InMemoryDataset):
    """Handwritten digits and letters of 28×28 pixels, upright as those of `MNIST`.

    The labels of each subset, and its numbers of examples to train, validate and test:

    - ``balanced``: 47 classes, digits and letters of which some have two cases; 94,000, 18,800 and 18,800
    - ``letters``: 0 to 25, a to z of either case; 104,000, 20,800 and 20,800
    - ``digits``: 0 to 9; 200,000, 40,000 and 40,000

    Args:
        root: Folder that contains ``EMNIST/raw`` with the four files of the subset, in the layout of torchvision.
        split: ``train``, ``valid``, ``train+valid`` (the published training examples) or ``test``.
        subset: ``balanced``, ``letters`` or ``digits``.
        download: Whether to download missing files.

    Raises:
        FileNotFoundError: Files are missing, and were not or could not be downloaded.
        ValueError: There is no such split or subset, or a file is not the published one.

    References:
        EMNIST: an extension of MNIST to handwritten letters (Cohen et al., 2017), https://arxiv.org/abs/1702.05373
    """

    def __init__(self, root: str, split: str, subset: str = "balanced", download: bool = False) -> None:
        tensors = _load("EMNIST", _EMNIST[check_choice("subset", subset, _EMNIST)], Path(root), split, download)
        y = tensors["y"] - 1 if subset == "letters" else tensors["y"]  # the files count letters from 1
        super().__init__({"x": tensors["x"].transpose(2, 3).contiguous(), "y": y})  # and are transposed

    @classmethod
    def synthesize(cls, root: str, split: str, subset: str = "balanced", download: bool = False) -> SyntheticDataset:
        """Return as many synthetic examples of the same form, without reading any file."""
        return _EMNIST[check_choice("subset", subset, _EMNIST)].splits.synthesize(split)


def _load(name: str, files: _Files, root: Path, split: str, download: bool) -> dict[str, Tensor]:
    rows = files.splits.get_range(split)
    folder = f"{name}/raw"
    provide(name, root, folder, tuple(files.shapes), download, **files.arguments)
    prefix = files.test if split == "test" else files.train
    x, y = (
        _read_idx(root / folder / file, shape, rows)
        for file, shape in files.shapes.items()
        if file.startswith(f"{prefix}-")
    )
    return {"x": x.unsqueeze(1), "y": y.long()}


def _read_idx(path: Path, shape: tuple[int, ...], rows: range) -> Tensor:
    """Read rows of an IDX file of bytes: a big-endian header, then the bytes."""
    n_rows, *row_shape = shape
    header = bytes((0, 0, 8, 1 + len(row_shape))) + b"".join(size.to_bytes(4, "big") for size in shape)
    n_row_bytes = prod(row_shape)
    n_expected, n_found = len(header) + n_rows * n_row_bytes, path.stat().st_size
    with path.open("rb") as file:
        start = file.read(len(header))
        if start != header or n_found != n_expected:
            raise ValueError(
                f"{str(path)!r} is not the published file: expected {n_expected:,} bytes that begin with "
                f"{header.hex()}, got {n_found:,} bytes that begin with {start.hex()}. "
                "Delete it, and download it again."
            )
        content = bytearray(len(rows) * n_row_bytes)
        file.seek(len(header) + rows.start * n_row_bytes)
        file.readinto(content)
    return torch.frombuffer(content, dtype=torch.uint8).view(len(rows), *row_shape)
