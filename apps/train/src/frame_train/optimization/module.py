"""The base class of optimization modules."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from math import gcd
from typing import Any, cast

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from frame_core import Model, SizedDataset, as_tensors, check_count, get_split, is_in_memory, seed_generators
from frame_train.data.augmentation import Augmentation, augment
from frame_train.data.loaders import TrainLoader, make_train_loader
from frame_train.data.sampling import ShuffledBatches, StepGroups, count_accumulated
from frame_train.data.seeding import derive_seed
from frame_train.distributed.sharding import ShardedStrategy
from frame_train.optimization.compilation import Loss
from frame_train.optimization.learning_rate import check_restored_lengths
from frame_train.optimization.lightning_internals import (
    count_batches,
    discard_loader,
    get_trainer,
    write_global_step,
    write_position,
)
from frame_train.optimization.optimizers import clear_gradients
from frame_train.optimization.progress import counts_global_steps, get_call_interval, is_stop_requested
from frame_train.optimization.schedules import ModelSchedules
from frame_train.optimization.training_state import Position, TrainingState

_STEPS_PER_EXECUTION = 10  # on in-memory data; more gain little, because the loop costs less than a millisecond


class OptimizationModule(LightningModule, ABC):
    """A model, its data, a loader of shuffled training batches, counters, and the schedules of the model.

    A subclass defines `training_step` and `configure_optimizers`. The checkpoint contains the counters, the schedules,
    the position in the epoch, and the numbers that callbacks monitor.

    Args:
        model: The model.
        data: The splits of the data, with ``train`` among them.
        num_workers: Number of data-loading workers. This process reads in-memory data sets itself.
        batch_size: Number of examples in a batch, of each process if there are several.
        pin_memory: Whether batches are in pinned memory; it has no effect without a GPU.
        augmentation: Function that changes the images ``x`` of a training batch, on the model's device; None for none.
        steps_per_execution: Maximum number of optimizer steps per call of the Trainer's loop, which makes short steps
            faster. The weights are bit-identical for any number. A group is smaller if a callback or the Trainer needs
            it. A subclass with several steps uses `minimize` or `take_steps`. None means ten steps on in-memory data,
            and one step on other data, because all batches of a group are in memory at once.
        global_batch_size: Number of examples in an optimizer step, of all processes together. Then ``batch_size`` is
            the largest batch of each process, and as few batches as possible are accumulated; manual optimization
            accumulates none. None means ``batch_size`` examples of each process.

    Raises:
        TypeError: ``augmentation`` is not callable, or a number is not an integer.
        ValueError: A number is out of its range, ``train`` is missing or empty, or the ``over`` of a schedule is not an
            interval.
    """

    def __init__(
        self,
        model: Model,
        data: Mapping[str, SizedDataset],
        num_workers: int,
        batch_size: int,
        pin_memory: bool = True,
        augmentation: Augmentation | None = None,
        steps_per_execution: int | None = 1,
        global_batch_size: int | None = None,
    ) -> None:
        super().__init__()
        if augmentation is not None and not callable(augmentation):
            raise TypeError(
                "`augmentation` must be a function of a batch of images, such as `frame_train.data.RandomShift`, "
                f"got {augmentation!r}."
            )
        train = get_split(data, "train")
        if steps_per_execution is None:
            steps_per_execution = _STEPS_PER_EXECUTION if is_in_memory(train) else 1
        self.model = model
        self.data = data
        self.num_workers = check_count("num_workers", num_workers, minimum=0)
        self.augmentation = augmentation
        self.counters = {"iteration": 0}
        self.watched: dict[str, Any] = {}
        """The quantity that a schedule of the learning rate watches. It is saved in checkpoints."""
        self.n_planned: int | None = None
        """The number of processes with which training began; None for the present number."""
        self._pin_memory = pin_memory
        self._batch_size = check_count("batch_size", batch_size)
        if global_batch_size is not None:
            check_count("global_batch_size", global_batch_size)
        self._global_batch_size = global_batch_size
        self._is_sharded = False
        self._sampler = ShuffledBatches(len(train), batch_size, torch.initial_seed())
        self._groups = StepGroups(self._sampler)
        self._steps_per_execution = check_count("steps_per_execution", steps_per_execution)
        self._schedules = ModelSchedules(model)
        self._metrics: dict[str, Tensor] = {}
        self._loaded: dict[str, Any] = {}  # the checkpoint, until training begins
        self._epoch = 0
        self.n_begun = 0
        """Number of batches of the current epoch whose steps have begun."""
        self._n_done = 0  # the number of complete ones, if groups have several steps

    @abstractmethod
    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """Take the step of a batch, or the steps of a step group, and return the quantities to log."""

    @abstractmethod
    def configure_optimizers(self) -> Any:
        """Make the optimizers, as Lightning expects them."""

    def check(self) -> None:
        """Check, before training, that there are counters for the units of the model's schedules.

        Raises:
            ValueError: A counter is missing.
        """
        self._schedules.check(self.counters)

    def check_trainer(self, trainer: Trainer) -> None:
        """Check, before training, that this optimization supports the options of a trainer.

        Raises:
            ValueError: It does not support one of the options.
        """
        self._schedules.check_trainer(trainer)
        if self._global_batch_size is not None and trainer.accumulate_grad_batches != 1:
            raise ValueError(
                "`trainer.accumulate_grad_batches` must be 1 with `optimization.global_batch_size`, which chooses it, "
                f"got {trainer.accumulate_grad_batches}."
            )
        self.share_batches(trainer)
        if isinstance(trainer.strategy, ShardedStrategy):
            self.check_sharding(trainer.strategy, trainer)
        n_examples = len(get_split(self.data, "train"))
        if n_examples < trainer.world_size:
            raise ValueError(
                f"`trainer.devices={trainer.world_size}` needs at least {trainer.world_size} training examples, got "
                f"{n_examples}."
            )

    def check_sharding(self, strategy: ShardedStrategy, trainer: Trainer) -> None:
        """Check, before training, that a strategy can shard the model of this optimization.

        Raises:
            ValueError: It can't.
        """
        if not self.automatic_optimization:
            raise ValueError("`ShardedStrategy` needs an optimization with one optimizer.")
        strategy.check(cast(nn.Module, self.model), trainer)

    def configure_model(self) -> None:
        """Shard the model, if the trainer's strategy does that."""
        strategy = self.trainer.strategy
        if isinstance(strategy, ShardedStrategy) and not self._is_sharded:
            strategy.shard(cast(nn.Module, self.model))
            self._is_sharded = True

    def share_batches(self, trainer: Trainer) -> int:
        """Choose the batch size of each process, and the number of accumulated batches if there is a global batch size.

        A resumed run with another number of processes keeps its batches: each process has another share of them.

        Returns:
            The batch size of each process.

        Raises:
            ValueError: The processes can't share a batch evenly, or manual optimization would have to accumulate some.
        """
        n_planned, n_processes = self.n_planned or trainer.world_size, trainer.world_size
        total = self._batch_size * n_planned
        if self._global_batch_size is not None:
            n_accumulated = count_accumulated(self._global_batch_size, self._batch_size, n_planned)
            if n_accumulated > 1 and not self.automatic_optimization:
                raise ValueError(
                    f"`optimization.global_batch_size` must be at most {total} (`batch_size` × processes = "
                    f"{self._batch_size} × {n_planned}) for manual optimization, which accumulates no gradients, got "
                    f"{self._global_batch_size}. Use a larger `batch_size`."
                )
            trainer.accumulate_grad_batches = n_accumulated
            total = self._global_batch_size // n_accumulated
        if total % n_processes != 0:
            raise ValueError(
                f"{n_processes} processes can't share a batch of {total} examples evenly, with which training began. "
                "Choose a number of processes that divides it."
            )
        self._sampler.share(n_processes, trainer.global_rank, total // n_processes)
        return total // n_processes

    def overfit(self, n_batches: int) -> None:
        """Train on the first examples alone, as many as a number of batches has; Lightning would replace the sampler.

        Raises:
            TypeError: ``n_batches`` is not an integer.
            ValueError: ``n_batches`` is not positive.
        """
        n_examples = check_count("overfit_batches", n_batches) * self._batch_size
        self._sampler.n_examples = min(n_examples, self._sampler.n_examples)

    def count_batches(self, n_steps: int) -> int:
        """Return the number of batches in a number of global steps, without accumulation."""
        return n_steps

    def on_fit_start(self) -> None:
        """Choose the step groups. Before this, even in `configure_optimizers`, each batch is its own group."""
        trainer = self.trainer
        limit = trainer.limit_train_batches
        self._groups = StepGroups(
            self._sampler, self._choose_group_size(trainer), limit if isinstance(limit, int) else None
        )
        if self._loaded:
            check_restored_lengths(self._loaded, trainer)
            write_position(self._loaded, self._epoch, self._groups.find(self.n_begun))  # groups may have changed
            self._loaded = {}
        if self._groups.n_steps > 1:
            self.automatic_optimization = False
            discard_loader(trainer)

    def train_dataloader(self) -> TrainLoader:
        trainer = get_trainer(self)
        if trainer is not None:
            self.share_batches(trainer)
        train = get_split(self.data, "train")
        return make_train_loader(train, self._groups, self.num_workers, self._pin_memory, self.device)

    @property
    def n_batches(self) -> float:
        """Number of batches in an epoch. It is known once training has begun."""
        return self.trainer.num_training_batches if self._groups.n_steps == 1 else self._groups.n_batches

    @property
    def n_done(self) -> int:
        """Number of batches of the current epoch whose steps are complete."""
        return count_batches(self.trainer)[1] if self._groups.n_steps == 1 else self._n_done

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch to the device, unless that is the CPU, where every batch is read."""
        return batch if device.type == "cpu" else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def on_train_start(self) -> None:
        self.trainer.callback_metrics.update(self._metrics)
        self._schedules.exclude_from_averages(self.trainer)

    def on_train_epoch_start(self) -> None:
        self._epoch = self.current_epoch
        self.n_begun = self._n_done = self._sampler.first_batch  # not 0 in a resumed epoch

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        is_group = self._groups.n_steps > 1
        if self.augmentation is not None:
            for index, of_step in enumerate(batch if is_group else [batch], self.n_done):
                self._seed("augmentation", 0, index)
                augment(of_step, self.augmentation, self._sampler.own)
        if not is_group:
            self._begin_step(batch_idx)

    def minimize(self, compute_loss: Loss, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """Compute the loss of a batch for Lightning to minimize, or take the steps of a step group.

        Args:
            compute_loss: Function that computes the quantities of a batch, with a gradient in ``loss``.
            batch: The batch, or the batches of a step group.
            batch_idx: Position in the epoch of the batch, or of the step group.

        Returns:
            The quantities. For a step group, they are vectors with an element for each step.
        """
        if self._groups.n_steps == 1:
            return as_tensors(compute_loss(batch, batch_idx))
        return self.take_steps(partial(self._take_step, compute_loss), batch, batch_idx)

    def take_steps(
        self, take_step: Callable[[Any, int], Mapping[str, Tensor | float]], batch: Any, batch_idx: int
    ) -> dict[str, Tensor]:
        """Take the step of a batch, or the steps of a step group, by manual optimization.

        Args:
            take_step: Function that steps the optimizers on a batch, given its position in the epoch, and returns the
                quantities. A quantity may be missing in some steps.
            batch: The batch, or the batches of a step group.
            batch_idx: Position in the epoch of the batch, or of the step group.

        Returns:
            The detached quantities. For a step group, they are vectors with an element for each step that has them.
        """
        if self._groups.n_steps == 1:
            return {name: value.detach() for name, value in as_tensors(take_step(batch, batch_idx)).items()}
        is_last = batch_idx + 1 == len(self._groups)
        taken: list[dict[str, Tensor]] = []
        for of_step in batch:
            self._begin_step(self._n_done)
            quantities = as_tensors(take_step(of_step, self._n_done))
            taken.append({name: value.detach().clone() for name, value in quantities.items()})
            self._n_done = self.n_begun
            if -1 < self.trainer.max_steps <= self.trainer.global_step:
                break
            if not is_last and is_stop_requested(self.trainer):  # the last group of an epoch is completed
                break
        names = dict.fromkeys(name for quantities in taken for name in quantities)
        return {name: torch.stack([quantities[name] for quantities in taken if name in quantities]) for name in names}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        n_done = self.n_done
        n_incomplete = self.n_begun - n_done  # a resumed run repeats an incomplete step
        epoch, batch = (self._epoch + 1, 0) if n_done == self.n_batches else (self._epoch, n_done)
        counters = {**self.counters, "iteration": self.counters["iteration"] - n_incomplete}
        schedules = self._schedules.state_dict()
        state = TrainingState.take(
            self.trainer, counters, Position(epoch, batch), schedules, self.watched, self.n_planned
        )
        state.write(checkpoint)
        write_position(checkpoint, epoch, self._groups.find(batch))
        write_global_step(checkpoint, self.trainer.global_step)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = TrainingState.read(checkpoint)
        self.counters.update(state.counters)
        self.watched = dict(state.watched)
        self._schedules.load_state_dict(state.schedules)
        self._metrics = dict(state.metrics)
        self._epoch, batch = state.position.epoch, state.position.batch
        self.n_begun = self._n_done = batch
        self._sampler.start_at(self._epoch, batch)
        self._loaded = checkpoint
        self.n_planned = state.n_planned

    def _choose_group_size(self, trainer: Trainer) -> int:
        """Choose the largest group size that keeps every callback on schedule."""
        limit = trainer.limit_train_batches
        callbacks: list[Any] = cast(Any, trainer).callbacks
        n_optimizers = len(trainer.optimizers)
        needs_single_steps = (
            trainer.accumulate_grad_batches != 1
            or trainer.gradient_clip_val is not None
            or trainer.world_size > 1
            or n_optimizers == 0
            or (n_optimizers > 1 and any(map(counts_global_steps, callbacks)))  # a batch takes several of them
            or any(schedule.reduce_on_plateau or schedule.frequency != 1 for schedule in trainer.lr_scheduler_configs)
            or (isinstance(limit, float) and limit < 1)  # the Trainer would take a fraction of the groups
        )
        return 1 if needs_single_steps else gcd(self._steps_per_execution, *map(get_call_interval, callbacks))

    def _begin_step(self, batch_idx: int) -> None:
        """Seed the noise of a step, advance the schedules, and count the step.

        The step is counted here, because an optimizer may compute the loss of a batch several times.
        """
        self.n_begun = batch_idx + 1
        self._seed("noise", self.global_rank, batch_idx)
        self._schedules.advance(self.trainer, batch_idx / self.n_batches)
        self.counters["iteration"] += 1

    def _take_step(self, compute_loss: Loss, batch: Mapping[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Take a step as Lightning's automatic optimization does, and return the quantities."""
        optimizer = cast(LightningOptimizer, self.optimizers())
        quantities: dict[str, Tensor] = {}

        def compute() -> Tensor:
            quantities.update(as_tensors(compute_loss(batch, batch_idx)))
            clear_gradients(optimizer)
            self.manual_backward(quantities["loss"])
            return quantities["loss"]

        optimizer.step(compute)
        for schedule in self.trainer.lr_scheduler_configs:
            if schedule.interval == "step" or self.n_begun == self.n_batches:
                self.lr_scheduler_step(schedule.scheduler, None)
        return quantities

    def _seed(self, what: str, rank: int, batch_idx: int) -> None:
        """Seed the generators for one source of randomness at a batch."""
        seed_generators(derive_seed(self._sampler.seed, what, rank, self.current_epoch, batch_idx))
