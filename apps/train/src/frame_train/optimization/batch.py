"""One model, one loss, any optimizer."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, cast

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from frame_core import Model, SizedDataset
from frame_train.data.augmentation import Augmentation
from frame_train.optimization.compilation import Loss, check_mode, compile_loss
from frame_train.optimization.module import Procedure


class BatchOptimization(Procedure):
    """Minimizes a model's loss on shuffled batches of ``data["train"]`` with any optimizer of torch.

    In a config both are given with ``_partial_: true``:
    ``optimizer: {_target_: torch.optim.SGD, _partial_: true, lr: 0.1}``.

    Args:
        model: The model.
        data: The splits of the data, ``train`` among them.
        num_workers: Number of processes that read a data set that is not in memory.
        batch_size: Number of data in a batch, of each process where there are several.
        optimizer: Makes the optimizer of some parameters.
        scheduler: Makes the schedule of the optimizer's learning rate; None for a constant one.
        scheduler_interval: Whether the schedule moves on after each ``epoch`` or each ``step``. A
            ``ReduceLROnPlateau`` watches the training loss, its mean over the epoch or that of the step.
        pin_memory: Whether batches lie in pinned memory; without effect where there is no GPU.
        augmentation: Changes the pictures ``x`` of a training batch, on the model's device; None for no change.
        steps_per_trip: Greatest number of steps to one trip through the Trainer's loop, for steps that are hardly
            longer than it. Weights are the same for any number; a trip is shorter where something is to be done
            between its steps (`choose_trips`).
        compile: Whether `torch.compile` compiles the loss, or its mode, such as ``reduce-overhead`` for CUDA graphs.

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
        steps_per_trip: int = 1,
        compile: bool | str = False,  # noqa: A002  # as torch calls it
    ) -> None:
        super().__init__(model, data, num_workers, batch_size, pin_memory, augmentation, steps_per_trip)
        if scheduler_interval not in ("epoch", "step"):
            raise ValueError(f"`scheduler_interval` must be 'epoch' or 'step', got {scheduler_interval!r}.")
        self._make_optimizer = optimizer
        self._make_scheduler = scheduler
        self._scheduler_interval = scheduler_interval
        self._compile_mode = check_mode(compile)
        self._compiled_loss: Loss | None = None
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
        if isinstance(optimizer, LBFGS) and trainer.world_size > 1:
            raise ValueError(
                "`trainer.devices` must be 1 for `LBFGS`, which asks for the loss as often as its own values tell it "
                f"to, got {trainer.world_size} processes."
            )

    def choose_trips(self, trainer: Trainer) -> None:
        super().choose_trips(trainer)
        if self._trips.n_steps > 1 and isinstance(self._make_optimizer(self.model.parameters()), LBFGS):
            self._trips.n_steps = 1  # it asks several times for the loss of a step
        self.automatic_optimization = self._trips.n_steps == 1

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if self._compile_mode is not None:
            self._compiled_loss = compile_loss(self.model.compute_loss, self._compile_mode)

    def configure_optimizers(self) -> Any:
        optimizer = self._make_optimizer(self.model.parameters())
        if self._make_scheduler is None:
            return optimizer
        scheduler = self._make_scheduler(optimizer)
        self._watches_loss = isinstance(scheduler, ReduceLROnPlateau)
        options: dict[str, Any] = {"scheduler": scheduler, "interval": self._scheduler_interval}
        if self._watches_loss:  # Lightning's own way forgets, after a resume, what the epoch's first batches lost
            options = {"scheduler": scheduler, "interval": "step"}
            if self.automatic_optimization:
                options["reduce_on_plateau"] = False
        return {"optimizer": optimizer, "lr_scheduler": options}

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        if self.automatic_optimization:
            return self._compute_quantities(batch, batch_idx)
        return self._take_trip(batch, batch_idx)

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        if not self._watches_loss:
            super().lr_scheduler_step(scheduler, metric)
        elif self._scheduler_interval == "step" or self._n_begun == self.n_batches:
            scheduler.step(self._watched["sum"] / self._watched["n_data"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["watched"] = self._watched

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self._watched = checkpoint["watched"]

    def _compute_quantities(self, batch: Mapping[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        compute_loss = self._compiled_loss or self.model.compute_loss
        quantities = compute_loss(batch, batch_idx)
        if self._watches_loss:
            self._watch(quantities["loss"].detach().clone(), len(next(iter(batch.values()))), batch_idx)
        return quantities

    def _take_trip(self, batches: Sequence[Mapping[str, Tensor]], trip: int) -> dict[str, Tensor]:
        """Take a step on each batch, as Lightning does of itself with one, and give each quantity as a vector."""
        optimizer = cast(LightningOptimizer, self.optimizers())
        limit = None if self.trainer.max_steps == -1 else self.trainer.max_steps - self.trainer.global_step
        taken: list[dict[str, Tensor]] = []
        for index, batch in enumerate(batches[:limit], self._trips.get_first(trip)):
            self.begin_step(index)
            quantities = self._compute_quantities(batch, index)
            optimizer.zero_grad()
            self.manual_backward(quantities["loss"])
            optimizer.step()
            for schedule in self.trainer.lr_scheduler_configs:
                if schedule.interval == "step" or self._n_begun == self.n_batches:
                    self.lr_scheduler_step(schedule.scheduler, None)
            self._n_done = self._n_begun
            taken.append({name: value.detach().clone() for name, value in quantities.items()})
        return {name: torch.stack([quantities[name] for quantities in taken]) for name in taken[0]}

    def _watch(self, loss: Tensor, n_data: int, batch_idx: int) -> None:
        """Take in the loss of a batch, of all processes, once also where an optimizer asks for it several times."""
        if batch_idx == 0 or self._scheduler_interval == "step":
            self._watched = {"sum": 0.0, "n_data": 0, "batch": -1}
        if batch_idx > self._watched["batch"]:
            loss = self.trainer.strategy.reduce(loss, reduce_op="mean")
            sums = {"sum": self._watched["sum"] + n_data * loss, "n_data": self._watched["n_data"] + n_data}
            self._watched = {**sums, "batch": batch_idx}
