"""The 8×8 digits of scikit-learn."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from frame_train.data.in_memory import InMemoryDataset
from frame_train.data.sources.splits import Splits
from frame_train.data.synthetic import SyntheticDataset

_SPLITS = Splits(
    {"train": range(1297), "valid": range(1297, 1547), "test": range(1547, 1797)}, x_shape=(1, 8, 8), n_labels=10
)


class Digits(InMemoryDataset):
    """1,797 handwritten digits of 8×8 pixels: 1,297 to train, 250 to validate, 250 to test.

    scikit-learn contains them, so nothing is downloaded. ``x`` is in [0, 1] and has shape (1, 8, 8);
    ``y`` is the digit.

    Args:
        split: ``train``, ``valid`` or ``test``, each a range of the data set in its original order.

    Raises:
        ValueError: The split does not exist.

    References:
        Optical Recognition of Handwritten Digits (Alpaydin & Kaynak, 1998), https://doi.org/10.24432/C50P49
    """

    def __init__(self, split: str) -> None:
        indices = _SPLITS.get_range(split)
        rows = slice(indices.start, indices.stop)
        super().__init__({name: value[rows].clone() for name, value in _read_digits().items()})

    @classmethod
    def synthesize(cls, split: str) -> SyntheticDataset:
        """Return as many synthetic examples of the same form."""
        return _SPLITS.synthesize(split)


@cache
def _read_digits() -> dict[str, Tensor]:
    """Read the file of all digits once per process, without an import of scikit-learn, which takes over a second."""
    package = find_spec("sklearn")
    assert package is not None
    assert package.origin is not None
    table = np.loadtxt(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    x = torch.from_numpy(table[:, :-1]).float().div(16).view(-1, 1, 8, 8)
    return {"x": x, "y": torch.from_numpy(table[:, -1]).long()}
