"""One model, one loss, any optimizer."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from pytorch_lightning import Trainer
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from frame_core import Model, SizedDataset
from frame_train.augmentation import Augmentation
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
        scheduler_interval: Whether the schedule moves on after each ``epoch`` or each ``step``. A
            ``ReduceLROnPlateau`` watches the training loss, its mean over the epoch or that of the step.
        pin_memory: Whether batches lie in pinned memory; without effect where there is no GPU.
        augmentation: Changes the pictures ``x`` of a training batch, on the model's device; None for no change.

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
        augmentation: Augmentation | None = None,
    ) -> None:
        super().__init__(model, data, num_workers, batch_size, pin_memory, augmentation)
        if scheduler_interval not in ("epoch", "step"):
            raise ValueError(f"`scheduler_interval` must be 'epoch' or 'step', got {scheduler_interval!r}.")
        self._make_optimizer = optimizer
        self._make_scheduler = scheduler
        self._scheduler_interval = scheduler_interval
        self._watches_loss = False
        self._watched: dict[str, Any] = {}

    def check_trainer(self, trainer: Trainer) -> None:
        """Check, before any training, that a trainer asks for nothing that the optimizer can't do.

        Raises:
            ValueError: It does.
        """
        super().check_trainer(trainer)
        optimizer = self._make_optimizer(self.model.parameters())
        if isinstance(optimizer, LBFGS) and trainer.accumulate_grad_batches != 1:
            raise ValueError(
                "`trainer.accumulate_grad_batches` must be 1 for `LBFGS`, which asks for the loss of a batch several "
                f"times, got {trainer.accumulate_grad_batches!r}: use a larger `batch_size`."
            )

    def configure_optimizers(self) -> Any:
        optimizer = self._make_optimizer(self.model.parameters())
        if self._make_scheduler is None:
            return optimizer
        scheduler = self._make_scheduler(optimizer)
        self._watches_loss = isinstance(scheduler, ReduceLROnPlateau)
        options = {"scheduler": scheduler, "interval": self._scheduler_interval}
        if self._watches_loss:  # Lightning's own way forgets, after a resume, what the epoch's first batches lost
            options = {"scheduler": scheduler, "interval": "step", "reduce_on_plateau": False}
        return {"optimizer": optimizer, "lr_scheduler": options}

    def training_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        quantities = self.model.compute_loss(batch, batch_idx)
        if self._watches_loss:
            self._watch(quantities["loss"].detach(), len(next(iter(batch.values()))), batch_idx)
        return quantities

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        if not self._watches_loss:
            super().lr_scheduler_step(scheduler, metric)
        elif self._scheduler_interval == "step" or self.trainer.is_last_batch:
            scheduler.step(self._watched["sum"] / self._watched["n_data"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["watched"] = self._watched

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self._watched = checkpoint["watched"]

    def _watch(self, loss: Tensor, n_data: int, batch_idx: int) -> None:
        """Take in the loss of a batch, once also where an optimizer asks for it several times."""
        if batch_idx == 0 or self._scheduler_interval == "step":
            self._watched = {"sum": 0.0, "n_data": 0, "batch": -1}
        if batch_idx > self._watched["batch"]:
            sums = {"sum": self._watched["sum"] + n_data * loss, "n_data": self._watched["n_data"] + n_data}
            self._watched = {**sums, "batch": batch_idx}
