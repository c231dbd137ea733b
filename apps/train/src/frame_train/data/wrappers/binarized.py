"""Binarized images."""

from typing import Any

import torch

from frame_core import SizedDataset, get_batch, get_tensor
from frame_train.data.in_memory import InMemoryDataset
from frame_train.data.wrappers.transformed import TransformedDataset


class Binarized(TransformedDataset):
    """A data set whose pixels are drawn as 0 or 1. The gray value of a pixel is its probability of being 1.

    Without a seed, pixels are drawn whenever they are read, so every epoch has different images (dynamic binarization).
    A resumed run draws the same ones. With a seed, pixels are drawn once.

    Args:
        data_set: A data set with ``x`` in [0, 1]. If there is a seed, it must fit in memory.
        seed: Seed of the images; None to draw them anew each time.

    References:
        On the Quantitative Analysis of Deep Belief Networks (Salakhutdinov & Murray, 2008),
        https://doi.org/10.1145/1390156.1390266; and the dynamic binarization of Importance Weighted Autoencoders
        (Burda et al., 2016), https://arxiv.org/abs/1509.00519
    """

    def __init__(self, data_set: SizedDataset, seed: int | None = None) -> None:
        if seed is not None:
            batch = get_batch(data_set, torch.arange(len(data_set)))
            x = torch.bernoulli(get_tensor(batch, "x"), generator=torch.Generator().manual_seed(seed))
            data_set = InMemoryDataset({**batch, "x": x.mul(255).byte()})
        super().__init__(data_set)

    def transform_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return a batch with a draw of each pixel. A pixel that is already 0 or 1 is unchanged."""
        return {**batch, "x": torch.bernoulli(get_tensor(batch, "x"))}
