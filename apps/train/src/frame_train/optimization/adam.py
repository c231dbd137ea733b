"""One model, one loss, one Adam."""

from collections.abc import Iterable, Mapping

import torch
from pytorch_lightning.plugins import MixedPrecision
from torch import nn

from frame_core import Model, SizedDataset
from frame_train.data.augmentation import Augmentation
from frame_train.optimization.batch import BatchOptimization


class AdamBatchOptimization(BatchOptimization):
    """Minimizes a model's loss on shuffled batches of ``data["train"]`` with Adam.

    Args:
        model: The model.
        data: The splits of the data, ``train`` among them.
        num_workers: Number of processes that read a data set that is not in memory.
        batch_size: Number of data in a batch, of each process where there are several.
        lr: Learning rate.
        pin_memory: Whether batches lie in pinned memory; without effect where there is no GPU.
        augmentation: Changes the pictures ``x`` of a training batch, on the model's device; None for no change.
        steps_per_trip: Greatest number of steps to one trip through the Trainer's loop (`BatchOptimization`).
        compile: Whether `torch.compile` compiles the loss, or its mode, such as ``reduce-overhead`` for CUDA graphs.

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
        augmentation: Augmentation | None = None,
        steps_per_trip: int = 1,
        compile: bool | str = False,  # noqa: A002  # as torch calls it
    ) -> None:
        if not lr > 0:
            raise ValueError(f"`lr` must be positive, got {lr!r}.")
        super().__init__(
            model,
            data,
            num_workers,
            batch_size,
            self._make_adam,
            pin_memory=pin_memory,
            augmentation=augmentation,
            steps_per_trip=steps_per_trip,
            compile=compile,
        )
        self._lr = lr

    def _make_adam(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Adam:
        return torch.optim.Adam(parameters, lr=self._lr, fused=self._can_be_fused())

    def _can_be_fused(self) -> bool:
        """Say whether Adam can update all parameters at once, which is fast.

        Lightning clips no gradients in mixed precision where it does, as it would scale them itself.
        """
        trainer = self._trainer
        return trainer is None or not (
            isinstance(trainer.precision_plugin, MixedPrecision) and trainer.gradient_clip_val
        )
