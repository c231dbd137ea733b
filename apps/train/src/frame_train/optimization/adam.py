"""Minimization of one loss with Adam."""

from collections.abc import Mapping
from typing import Any

import torch
from pytorch_lightning.plugins import MixedPrecision
from torch import Tensor

from frame_core import Model, SizedDataset, check_positive
from frame_train.data.augmentation import Augmentation
from frame_train.optimization.compilation import CompilableLoss
from frame_train.optimization.lightning_internals import get_trainer
from frame_train.optimization.module import OptimizationModule
from frame_train.optimization.optimizers import list_trainable


class AdamBatchOptimization(OptimizationModule):
    """Minimization of a model's loss on shuffled batches of ``data["train"]``, with Adam and a constant learning rate.

    Args:
        lr: Learning rate.
        compile: Whether `torch.compile` compiles the loss, or its mode, such as ``reduce-overhead`` for CUDA graphs.

    The other arguments are those of `OptimizationModule`.

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
        augmentation: Augmentation | None = None,
        steps_per_execution: int | None = 1,
        compile: bool | str = False,  # noqa: A002  # as torch calls it
        global_batch_size: int | None = None,
    ) -> None:
        super().__init__(
            model, data, num_workers, batch_size, pin_memory, augmentation, steps_per_execution, global_batch_size
        )
        self._loss = CompilableLoss(model, compile)
        self._lr = check_positive("lr", lr)

    def configure_optimizers(self) -> torch.optim.Adam:
        """Make Adam. It is fused, which is fast, unless Lightning must clip gradients in mixed precision.

        In mixed precision, a fused optimizer scales the gradients itself, so Lightning can't clip them.
        """
        trainer = get_trainer(self)
        clips_scaled = (
            trainer is not None
            and isinstance(trainer.precision_plugin, MixedPrecision)
            and bool(trainer.gradient_clip_val)
        )
        return torch.optim.Adam(list_trainable(self.model), lr=self._lr, fused=not clips_scaled)

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        return self.minimize(self._loss, batch, batch_idx)
