"""Fixed splits."""

from collections.abc import Mapping


def get_range(split: str, ranges: Mapping[str, range]) -> range:
    """Give the indices of a split.

    Raises:
        ValueError: There is no such split.
    """
    if split not in ranges:
        raise ValueError(f"`split` must be one of {', '.join(map(repr, ranges))}, got {split!r}.")
    return ranges[split]
