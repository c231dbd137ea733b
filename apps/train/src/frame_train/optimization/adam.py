"""One model, one loss, one Adam."""

from collections.abc import Mapping
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.utils.data import DataLoader

from frame_core import Model, SizedDataset, get_split
from frame_train.loaders import make_train_loader


class AdamBatchOptimization(LightningModule):
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
        super().__init__()
        if not lr > 0:
            raise ValueError(f"`lr` must be positive, got {lr!r}.")
        self.model = model
        self.data = data
        self.lr = lr
        self.counters = {"iteration": 0}
        self._loader = make_train_loader(
            get_split(data, "train"), batch_size, torch.initial_seed(), num_workers, pin_memory
        )

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.model.parameters(), lr=self.lr, fused=True)

    def training_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        self.counters["iteration"] += 1
        return self.model.compute_loss(batch, batch_idx)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["counters"] = dict(self.counters)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.counters.update(checkpoint["counters"])
