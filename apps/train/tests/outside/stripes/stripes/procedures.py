"""An optimization procedure."""

import torch
from pytorch_lightning import LightningModule
from torch.utils.data import DataLoader


class AdamBatchOptimization(LightningModule):
    def __init__(self, model, data, num_workers, batch_size, lr, pin_memory=True):
        super().__init__()
        self.model = model
        self.data = data
        self.num_workers = num_workers
        self.batch_size = batch_size
        self.lr = lr
        self.pin_memory = pin_memory

    def train_dataloader(self):
        return DataLoader(
            self.data["train"],
            batch_size=self.batch_size,
            shuffle=True,
            num_workers=self.num_workers,
            pin_memory=self.pin_memory and torch.cuda.is_available(),
        )

    def training_step(self, batch, batch_idx):
        return self.model.compute_loss(batch, batch_idx)

    def configure_optimizers(self):
        return torch.optim.Adam(self.model.parameters(), lr=self.lr)
