"""Minimization of one loss with any optimizer."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from frame_core import Model, SizedDataset, check_choice
from frame_train.data.augmentation import Augmentation
from frame_train.optimization.compilation import CompilableLoss
from frame_train.optimization.learning_rate import make_scheduler
from frame_train.optimization.lightning_internals import get_trainer
from frame_train.optimization.module import OptimizationModule
from frame_train.optimization.optimizers import Groups, make_optimizer


class BatchOptimization(OptimizationModule):
    """Minimization of a model's loss on shuffled batches of ``data["train"]``, with any optimizer of torch.

    In a config, the optimizer and the scheduler have ``_partial_: true``:
    ``optimizer: {_target_: torch.optim.SGD, _partial_: true, lr: 0.1}``.

    Args:
        optimizer: Function that makes the optimizer of given parameters.
        groups: Other options of the optimizer for some parameters, by a pattern of their names in the model:
            ``{"encoder.*": {"lr": 1e-4}, "*.bias": {"weight_decay": 0}}``. A parameter takes the options of every
            pattern that its name matches. Later patterns take precedence.
        scheduler: Function that makes the schedule of the optimizer's learning rate; None for a constant rate. If its
            argument ``total_steps`` or ``T_max`` is missing, it is set to the length of training.
        scheduler_interval: Whether the schedule advances after each ``epoch`` or each ``step``. A
            ``ReduceLROnPlateau`` watches the training loss: its mean over the epoch, or that of the step.
        compile: Whether `torch.compile` compiles the loss, or its mode, such as ``reduce-overhead`` for CUDA graphs.

    The other arguments are those of `OptimizationModule`.
    """

    def __init__(
        self,
        model: Model,
        data: Mapping[str, SizedDataset],
        num_workers: int,
        batch_size: int,
        optimizer: Callable[[Iterable[Any]], Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
        scheduler_interval: Literal["epoch", "step"] = "epoch",
        pin_memory: bool = True,
        augmentation: Augmentation | None = None,
        steps_per_execution: int | None = 1,
        compile: bool | str = False,  # noqa: A002  # as torch calls it
        groups: Groups | None = None,
        global_batch_size: int | None = None,
    ) -> None:
        super().__init__(
            model, data, num_workers, batch_size, pin_memory, augmentation, steps_per_execution, global_batch_size
        )
        self._loss = CompilableLoss(model, compile)
        self._make_optimizer = optimizer
        self._groups_of_parameters = groups or {}
        self._make_scheduler = scheduler
        self._scheduler_interval = check_choice("scheduler_interval", scheduler_interval, ("epoch", "step"))
        self._watches_loss = False

    def configure_optimizers(self) -> Any:
        optimizer = make_optimizer(self._make_optimizer, self.model, self._groups_of_parameters)
        if self._make_scheduler is None:
            return optimizer
        scheduler = make_scheduler(self._make_scheduler, optimizer, get_trainer(self), self._scheduler_interval)
        self._watches_loss = isinstance(scheduler, ReduceLROnPlateau)
        options: dict[str, Any] = {"scheduler": scheduler, "interval": self._scheduler_interval}
        if self._watches_loss:  # Lightning itself forgets the losses before a resume
            options = {"scheduler": scheduler, "interval": "step", "reduce_on_plateau": False}
        return {"optimizer": optimizer, "lr_scheduler": options}

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        return self.minimize(self._compute_quantities, batch, batch_idx)

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        if not self._watches_loss:
            super().lr_scheduler_step(scheduler, metric)
        elif self._scheduler_interval == "step" or self.n_begun == self.n_batches:
            scheduler.step(self.watched["sum"] / self.watched["n_data"])

    def _compute_quantities(self, batch: Mapping[str, Tensor], batch_idx: int) -> Mapping[str, Tensor]:
        quantities = self._loss(batch, batch_idx)
        if self._watches_loss:
            n_examples = len(next(iter(batch.values()))) * self.trainer.world_size
            self._watch(quantities["loss"].detach().clone(), n_examples, batch_idx)
        return quantities

    def _watch(self, loss: Tensor, n_examples: int, batch_idx: int) -> None:
        """Add the loss of a batch, over all processes, to the mean, even if an optimizer computes it several times."""
        if batch_idx == 0 or self._scheduler_interval == "step":
            self.watched = {"sum": 0.0, "n_data": 0, "batch": -1}
        if batch_idx > self.watched["batch"]:
            loss = self.trainer.strategy.reduce(loss, reduce_op="mean")
            self.watched = {
                "sum": self.watched["sum"] + n_examples * loss,
                "n_data": self.watched["n_data"] + n_examples,
                "batch": batch_idx,
            }
