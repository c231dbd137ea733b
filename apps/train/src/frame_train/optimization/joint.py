"""Several models, one step."""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from frame_core import JointModel, Model, SizedDataset
from frame_train.data.augmentation import Augmentation
from frame_train.optimization.batch import BatchOptimization


class JointOptimization(BatchOptimization):
    """Minimizes the sum of the losses of several models on the same batches, with one optimizer.

    `PartEvaluation` evaluates one of the models.

    Args:
        models: The models by name. Components that they share, such as an encoder, are one object.
        data: The splits of the data, ``train`` among them.
        num_workers: Number of processes that read a data set that is not in memory.
        batch_size: Number of data in a batch, of each process where there are several.
        optimizer: Makes the optimizer of some parameters.
        scheduler: Makes the schedule of the optimizer's learning rate; None for a constant one.
        scheduler_interval: Whether the schedule moves on after each ``epoch`` or each ``step``.
        pin_memory: Whether batches lie in pinned memory; without effect where there is no GPU.
        augmentation: Changes the pictures ``x`` of a training batch, on the model's device; None for no change.
        steps_per_trip: Greatest number of steps to one trip through the Trainer's loop (`BatchOptimization`).
        compile: Whether `torch.compile` compiles the loss, or its mode, such as ``reduce-overhead`` for CUDA graphs.

    Raises:
        ValueError: There are fewer than two models, a number is out of its range, or there are no
            training data.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        data: Mapping[str, SizedDataset],
        num_workers: int,
        batch_size: int,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        scheduler_interval: Literal["epoch", "step"] = "epoch",
        pin_memory: bool = True,
        augmentation: Augmentation | None = None,
        steps_per_trip: int = 1,
        compile: bool | str = False,  # noqa: A002  # as torch calls it
    ) -> None:
        super().__init__(
            JointModel(models),
            data,
            num_workers,
            batch_size,
            optimizer,
            scheduler,
            scheduler_interval,
            pin_memory,
            augmentation,
            steps_per_trip,
            compile,
        )
