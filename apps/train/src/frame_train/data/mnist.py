"""MNIST and Fashion-MNIST, in the folder layout of torchvision."""

import contextlib
import io
import os
import tempfile
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from frame_train.data.in_memory import InMemoryDataset
from frame_train.data.splits import Splits
from frame_train.data.synthetic import SyntheticDataset
from frame_train.files import made_folder

_SPLITS = Splits(
    {
        "train": range(50_000),
        "valid": range(50_000, 60_000),
        "train+valid": range(60_000),
        "test": range(10_000),
    },
    x_shape=(1, 28, 28),
    n_labels=10,
)
_SHAPES = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
FILES = tuple(_SHAPES)


def _synthesize(root: str, split: str, download: bool = False) -> SyntheticDataset:
    """Return as many synthetic examples of the same form, without reading any file."""
    return _SPLITS.synthesize(split)


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
        super().__init__(_load("MNIST", Path(root), split, download))

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
        super().__init__(_load("FashionMNIST", Path(root), split, download))

    synthesize = staticmethod(_synthesize)


def _load(name: str, root: Path, split: str, download: bool) -> dict[str, Tensor]:
    indices = _SPLITS.get_range(split)
    _provide(name, root, download)
    prefix = "t10k" if split == "test" else "train"
    folder = root / name / "raw"
    x = _read_idx(folder / f"{prefix}-images-idx3-ubyte", indices)
    y = _read_idx(folder / f"{prefix}-labels-idx1-ubyte", indices)
    return {"x": x.unsqueeze(1), "y": y.long()}


def _provide(name: str, root: Path, download: bool) -> None:
    """Download the four files if one is missing and a download is allowed; raise an error if one is still missing."""
    folder = root / name / "raw"
    missing = [file for file in FILES if not (folder / file).is_file()]
    if not missing:
        return
    reason = _download(name, root) if download else "`device.download_files` is off"
    if reason:
        raise FileNotFoundError(
            f"{name} is not in {str(folder)!r}.\n"
            f"  needed: {', '.join(FILES)}\n"
            f"  missing: {'all' if len(missing) == len(FILES) else ', '.join(missing)}\n"
            f"  download: {reason}\n"
            "  Set `device.data_root` to the folder of the data sets, or train `+experiment=DIGITS_VAE`, which needs "
            "no download."
        )


def _download(name: str, root: Path) -> str | None:
    """Download the files, and move them to their folder when all are complete; return why it failed, or None."""
    from torchvision import datasets  # takes seconds to import, and only a download needs it

    folder = root / name / "raw"
    try:
        with made_folder(folder), tempfile.TemporaryDirectory(dir=root, prefix=f".{name}-") as place:
            with contextlib.redirect_stdout(io.StringIO()):
                getattr(datasets, name)(place, download=True)
            for file in FILES:
                os.replace(Path(place) / name / "raw" / file, folder / file)
    except RuntimeError as error:
        return " ".join(str(error).split())
    except OSError as error:
        return f"the folder can't be written: {error.strerror}"
    return None


def _read_idx(path: Path, rows: range) -> Tensor:
    """Read rows of an IDX file of bytes: a big-endian header, then the bytes."""
    n_rows, *row_shape = _SHAPES[path.name]
    header = bytes((0, 0, 8, 1 + len(row_shape))) + b"".join(size.to_bytes(4, "big") for size in (n_rows, *row_shape))
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
