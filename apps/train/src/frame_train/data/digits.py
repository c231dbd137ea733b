"""The 8×8 digits that scikit-learn ships."""

import torch

from frame_train.data.in_memory import InMemoryDataset
from frame_train.data.splits import get_range
from frame_train.data.synthetic import SyntheticDataset

_RANGES = {"train": range(1297), "valid": range(1297, 1547), "test": range(1547, 1797)}


class Digits(InMemoryDataset):
    """1,797 handwritten digits of 8×8 pixels: 1,297 to train, 250 to validate, 250 to test.

    They come with scikit-learn, so nothing is downloaded. ``x`` is in [0, 1], of shape (1, 8, 8);
    ``y`` is the digit.

    Args:
        split: ``train``, ``valid`` or ``test``, in the order of the data set.

    References:
        Optical Recognition of Handwritten Digits (Alpaydin & Kaynak, 1998), https://doi.org/10.24432/C50P49
    """

    def __init__(self, split: str) -> None:
        indices = get_range(split, _RANGES)
        from sklearn.datasets import load_digits  # seconds to import, for this data set alone

        pixels, labels = load_digits(return_X_y=True)
        x = torch.from_numpy(pixels).float().div(16).view(-1, 1, 8, 8)
        y = torch.from_numpy(labels).long()
        rows = slice(indices.start, indices.stop)
        super().__init__({"x": x[rows].clone(), "y": y[rows].clone()})

    @classmethod
    def synthesize(cls, split: str) -> SyntheticDataset:
        """Give as many random data of the same form."""
        return SyntheticDataset(len(get_range(split, _RANGES)), x_shape=(1, 8, 8), n_labels=10)
