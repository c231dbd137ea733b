"""CIFAR-10 and SVHN, read by torchvision, which checks their files."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frame_train.data.in_memory import InMemoryDataset
from frame_train.data.sources.published import provide
from frame_train.data.sources.splits import Splits
from frame_train.data.synthetic import SyntheticDataset

_CIFAR10_FILES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")
_CIFAR10 = Splits(
    {"train": range(45_000), "valid": range(45_000, 50_000), "train+valid": range(50_000), "test": range(10_000)},
    x_shape=(3, 32, 32),
    n_labels=10,
)
_SVHN = Splits(
    {"train": range(65_257), "valid": range(65_257, 73_257), "train+valid": range(73_257), "test": range(26_032)},
    x_shape=(3, 32, 32),
    n_labels=10,
)


class CIFAR10(InMemoryDataset):
    """60,000 color images of 32×32 pixels: 45,000 to train, 5,000 to validate, 10,000 to test.

    ``x`` is in [0, 1] and has shape (3, 32, 32); ``y`` is the object: airplane, automobile, bird, cat, deer, dog, frog,
    horse, ship, truck. The validation examples are the last 5,000 of the published training examples.

    Args:
        root: Folder that contains ``cifar-10-batches-py``, in the layout of torchvision.
        split: ``train``, ``valid``, ``train+valid`` (the published training examples) or ``test``.
        download: Whether to download missing files.

    Raises:
        FileNotFoundError: Files are missing, and were not or could not be downloaded.
        ValueError: There is no such split, or a file is not the published one.

    References:
        Learning Multiple Layers of Features from Tiny Images (Krizhevsky, 2009),
        https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf
    """

    def __init__(self, root: str, split: str, download: bool = False) -> None:
        rows = _CIFAR10.get_range(split)
        provide("CIFAR10", Path(root), "cifar-10-batches-py", _CIFAR10_FILES, download)
        published = _open("CIFAR10", root, train=split != "test")
        x = torch.from_numpy(published.data).permute(0, 3, 1, 2)
        super().__init__(_take(x, torch.tensor(published.targets), rows))

    @classmethod
    def synthesize(cls, root: str, split: str, download: bool = False) -> SyntheticDataset:
        """Return as many synthetic examples of the same form, without reading any file."""
        return _CIFAR10.synthesize(split)


class SVHN(InMemoryDataset):
    """99,289 house numbers, centered at one digit, in color images of 32×32 pixels.

    There are 65,257 to train, 8,000 to validate and 26,032 to test. ``x`` is in [0, 1] and has shape (3, 32, 32);
    ``y`` is the digit. The validation examples are the last 8,000 of the published training examples.

    Args:
        root: Folder that contains ``train_32x32.mat`` and ``test_32x32.mat``, in the layout of torchvision.
        split: ``train``, ``valid``, ``train+valid`` (the published training examples) or ``test``.
        download: Whether to download a missing file.

    Raises:
        FileNotFoundError: A file is missing, and was not or could not be downloaded.
        ValueError: There is no such split, or a file is not the published one.

    References:
        Reading Digits in Natural Images with Unsupervised Feature Learning (Netzer et al., 2011),
        http://ufldl.stanford.edu/housenumbers/nips2011_housenumbers.pdf
    """

    def __init__(self, root: str, split: str, download: bool = False) -> None:
        rows = _SVHN.get_range(split)
        part = "test" if split == "test" else "train"
        provide("SVHN", Path(root), "", [f"{part}_32x32.mat"], download, split=part)
        published = _open("SVHN", root, split=part)
        super().__init__(_take(torch.from_numpy(published.data), torch.from_numpy(published.labels), rows))

    @classmethod
    def synthesize(cls, root: str, split: str, download: bool = False) -> SyntheticDataset:
        """Return as many synthetic examples of the same form, without reading any file."""
        return _SVHN.synthesize(split)


def _open(name: str, root: str, **arguments: Any) -> Any:
    """Return a data set of torchvision, which reads a file only if its checksum is that of the published one."""
    from torchvision import datasets  # takes seconds to import

    try:
        return getattr(datasets, name)(root, **arguments)
    except RuntimeError as error:
        raise ValueError(
            f"The files of {name} in {root!r} are not the published ones: expected other checksums. "
            "Delete them, and download them again."
        ) from error


def _take(x: Tensor, y: Tensor, rows: range) -> dict[str, Tensor]:
    chosen = slice(rows.start, rows.stop)
    return {"x": x[chosen].contiguous(), "y": y[chosen].long()}
