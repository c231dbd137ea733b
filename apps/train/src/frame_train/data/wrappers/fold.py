"""Folds of cross-validation."""

from typing import Any, cast

import torch
from torch.utils.data import Subset

from frame_core import SizedDataset, check_count


class Fold(Subset[Any]):
    """The examples of a data set that are in one of several folds, or all others.

    The folds are drawn at random, but the same every time, and differ in length by at most one example.

    Args:
        data_set: The data set.
        k: The fold, counted from 0.
        of: Number of folds.
        held_out: True for the examples of the fold (for validation), False for all others (for training).

    Raises:
        TypeError: ``k`` or ``of`` is not an integer.
        ValueError: ``of`` is less than two or exceeds the number of examples, or there is no fold ``k``.
    """

    def __init__(self, data_set: SizedDataset, k: int, of: int, held_out: bool = False) -> None:
        if check_count("of", of, minimum=2) > len(data_set):
            raise ValueError(f"`of` must be at most {len(data_set)}, the number of examples, got {of}.")
        if check_count("k", k, minimum=0) >= of:
            raise ValueError(f"`k` must be less than `of`, {of}, got {k}.")
        folds = torch.empty(len(data_set), dtype=torch.long)
        folds[torch.randperm(len(data_set), generator=torch.Generator().manual_seed(0))] = torch.arange(len(folds)) % of
        super().__init__(cast(Any, data_set), torch.nonzero((folds == k) == held_out).flatten().tolist())
