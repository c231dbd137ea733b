"""The data that an evaluation looks at."""

from frame_core import Optimization, SizedDataset, get_split


def get_filled_split(optimization: Optimization, split: str) -> SizedDataset:
    """Give one split of the data that holds at least one datum.

    Raises:
        ValueError: There is no such split, or nothing in it.
    """
    data_set = get_split(optimization.data, split)
    if len(data_set) == 0:
        raise ValueError(f"There is nothing to evaluate: split {split!r} of `data` is empty.")
    return data_set
