"""Fixed splits of labeled images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from frame_train.data.synthetic import SyntheticDataset


@dataclass(frozen=True)
class Splits:
    """The splits of a data set of labeled images.

    Args:
        ranges: The indices of the examples of each split.
        x_shape: Shape of an image.
        n_labels: Number of labels.
    """

    ranges: Mapping[str, range]
    x_shape: Sequence[int]
    n_labels: int

    def get_range(self, split: str) -> range:
        """Return the indices of the examples of a split.

        Raises:
            ValueError: The split does not exist.
        """
        if split not in self.ranges:
            raise ValueError(f"`split` must be one of {', '.join(map(repr, self.ranges))}, got {split!r}.")
        return self.ranges[split]

    def synthesize(self, split: str) -> SyntheticDataset:
        """Return as many synthetic examples as the split has, of the same form.

        Raises:
            ValueError: The split does not exist.
        """
        return SyntheticDataset(len(self.get_range(split)), self.x_shape, self.n_labels)
