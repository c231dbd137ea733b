"""Data sets without most of their labels."""

import torch

from frame_core import SizedDataset, check_count, get_batch, get_tensor
from frame_train.data.in_memory import InMemoryDataset

UNKNOWN = -1
"""The label of an example whose label is unknown."""


class PartlyLabelled(InMemoryDataset):
    """A data set in which only some examples keep their label, equally many of each. The label of the others is -1.

    The labelled examples are drawn at random; a seed always draws the same ones. The data set is read into memory.

    Args:
        data_set: A data set with labels ``y``, which are integers.
        n_labelled: Number of examples that keep their label.
        seed: Seed of the draw of these examples.
        keep_unlabelled: Whether the data set keeps the other examples. Without them, a classifier can be trained on the
            same labels alone.

    Raises:
        TypeError: ``n_labelled`` is not an integer.
        ValueError: ``n_labelled`` is not a positive multiple of the number of labels, or a label has too few examples.
    """

    def __init__(self, data_set: SizedDataset, n_labelled: int, seed: int = 0, keep_unlabelled: bool = True) -> None:
        batch = get_batch(data_set, torch.arange(len(data_set)))
        y = get_tensor(batch, "y")
        labels = y.unique()
        n_each, rest = divmod(check_count("n_labelled", n_labelled), len(labels))
        fewest = int(y.unique(return_counts=True)[1].min())
        if rest or n_each > fewest:
            raise ValueError(
                f"`n_labelled` must be a multiple of {len(labels)}, the number of labels, and at most "
                f"{fewest * len(labels)}, got {n_labelled}."
            )
        order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
        kept = torch.cat([order[y[order] == label][:n_each] for label in labels])
        partial = torch.full_like(y, UNKNOWN)
        partial[kept] = y[kept]
        labelled = {**batch, "y": partial}
        super().__init__(labelled if keep_unlabelled else {name: tensor[kept] for name, tensor in labelled.items()})
