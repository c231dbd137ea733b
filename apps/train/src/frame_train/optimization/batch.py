"""One model, one loss, any optimizer."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from frame_core import Model, SizedDataset
from frame_train.optimization.procedure import Procedure


class BatchOptimization(Procedure):
    """Minimizes a model's loss on shuffled batches of ``data["train"]`` with any optimizer of torch.

    In a config both are given with ``_partial_: true``:
    ``optimizer: {_target_: torch.optim.SGD, _partial_: true, lr: 0.1}``.

    Args:
        model: The model.
        data: The splits of the data, ``train`` among them.
        num_workers: Number of processes that read a data set that is not in memory.
        batch_size: Number of data in a batch.
        optimizer: Makes the optimizer of some parameters.
        scheduler: Makes the schedule of the optimizer's learning rate; None for a constant one.
        scheduler_interval: Whether the schedule moves on after each ``epoch`` or each ``step``.
        pin_memory: Whether batches lie in pinned memory; without effect where there is no GPU.

    Raises:
        ValueError: A number is out of its range, or there are no training data.
    """

    def __init__(
        self,
        model: Model,
        data: Mapping[str, SizedDataset],
        num_workers: int,
        batch_size: int,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        scheduler_interval: Literal["epoch", "step"] = "epoch",
        pin_memory: bool = True,
    ) -> None:
        super().__init__(model, data, num_workers, batch_size, pin_memory)
        if scheduler_interval not in ("epoch", "step"):
            raise ValueError(f"`scheduler_interval` must be 'epoch' or 'step', got {scheduler_interval!r}.")
        self._make_optimizer = optimizer
        self._make_scheduler = scheduler
        self._scheduler_interval = scheduler_interval

    def configure_optimizers(self) -> Any:
        optimizer = self._make_optimizer(self.model.parameters())
        if self._make_scheduler is None:
            return optimizer
        scheduler = {"scheduler": self._make_scheduler(optimizer), "interval": self._scheduler_interval}
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def training_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        return self.model.compute_loss(batch, batch_idx)
