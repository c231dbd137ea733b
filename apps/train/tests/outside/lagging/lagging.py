"""Aggressive training of the encoder, for lagging inference networks (He et al., 2019)."""

import torch

from frame_train.optimization import OptimizationModule, warmup_cosine


class LaggingOptimization(OptimizationModule):
    """Updates the encoder on every batch, and the decoder on every `n_inner`-th one."""

    def __init__(self, model, data, num_workers, batch_size, encoder_lr, decoder_lr, n_inner, clip):
        super().__init__(model, data, num_workers, batch_size)
        self.automatic_optimization = False
        self.encoder_lr = encoder_lr
        self.decoder_lr = decoder_lr
        self.n_inner = n_inner
        self.clip = clip
        self.counters["decoder_step"] = 0

    def configure_optimizers(self):
        n_batches = self.trainer.estimated_stepping_batches
        encoder = torch.optim.Adam(self.model.encoder.parameters(), lr=self.encoder_lr)
        decoder = torch.optim.SGD(self.model.decoder.parameters(), lr=self.decoder_lr, momentum=0.9)
        schedules = [
            warmup_cosine(encoder, n_batches, 0.2),
            warmup_cosine(decoder, n_batches // self.n_inner, 0.2),
        ]
        return [encoder, decoder], schedules

    def training_step(self, batch, batch_idx):
        quantities = self.model.compute_loss(batch, batch_idx)
        parts = list(zip(self.optimizers(), self.lr_schedulers()))
        if (self.counters["iteration"] + 1) % self.n_inner:
            parts = parts[:1]
        else:
            self.counters["decoder_step"] += 1
        for optimizer, _ in parts:
            optimizer.zero_grad()
        self.manual_backward(quantities["loss"])
        for optimizer, schedule in parts:
            self.clip_gradients(optimizer, gradient_clip_val=self.clip)
            optimizer.step()
            schedule.step()
        return quantities
