"""One model, one loss, one Adam."""

from collections.abc import Mapping
from functools import partial

import torch

from frame_core import Model, SizedDataset
from frame_train.optimization.batch import BatchOptimization


class AdamBatchOptimization(BatchOptimization):
    """Minimizes a model's loss on shuffled batches of ``data["train"]`` with Adam.

    Args:
        model: The model.
        data: The splits of the data, ``train`` among them.
        num_workers: Number of processes that read a data set that is not in memory.
        batch_size: Number of data in a batch.
        lr: Learning rate.
        pin_memory: Whether batches lie in pinned memory; without effect where there is no GPU.

    Raises:
        ValueError: A number is out of its range, or there are no training data.

    References:
        Adam: A Method for Stochastic Optimization (Kingma & Ba, 2015), https://arxiv.org/abs/1412.6980
    """

    def __init__(
        self,
        model: Model,
        data: Mapping[str, SizedDataset],
        num_workers: int,
        batch_size: int,
        lr: float,
        pin_memory: bool = True,
    ) -> None:
        if not lr > 0:
            raise ValueError(f"`lr` must be positive, got {lr!r}.")
        adam = partial(torch.optim.Adam, lr=lr, fused=True)
        super().__init__(model, data, num_workers, batch_size, adam, pin_memory=pin_memory)
