"""What every procedure has, however it updates its model."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from math import gcd
from typing import Any, cast

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from frame_core import Clock, Interval, Model, Schedule, SizedDataset, check_count, get_split
from frame_train.data.augmentation import Augmentation, augment
from frame_train.data.loaders import ShuffledBatches, Trips, join_trips, make_train_loader, move_loader
from frame_train.data.seeding import make_key, seed_generators
from frame_train.optimization.logs import list_logs
from frame_train.optimization.progress import get_trip_stride, read_progress


class Procedure(LightningModule):
    """A model, its data, a loader of shuffled training batches, counters, and the schedules of the model.

    Counters and schedules are in the checkpoint, and so are the numbers that callbacks monitor.

    Args:
        model: The model.
        data: The splits of the data, ``train`` among them.
        num_workers: Number of processes that read a data set that is not in memory.
        batch_size: Number of data in a batch, of each process where there are several.
        pin_memory: Whether batches lie in pinned memory; without effect where there is no GPU.
        augmentation: Changes the pictures ``x`` of a training batch, on the model's device; None for no change.
        steps_per_trip: Greatest number of steps that one trip through the Trainer's loop takes: where it is more than
            one, a batch of the Trainer is a list of them, and `training_step` takes them.

    Raises:
        TypeError: ``augmentation`` can't be called, or ``steps_per_trip`` is no integer.
        ValueError: A number is out of its range, there are no training data, or a schedule's ``over``
            is no interval.
    """

    def __init__(
        self,
        model: Model,
        data: Mapping[str, SizedDataset],
        num_workers: int,
        batch_size: int,
        pin_memory: bool,
        augmentation: Augmentation | None,
        steps_per_trip: int = 1,
    ) -> None:
        super().__init__()
        if augmentation is not None and not callable(augmentation):
            raise TypeError(
                "`augmentation` must take a batch of pictures, as `frame_train.data.RandomShift` does, "
                f"got {augmentation!r}."
            )
        self.model = model
        self.data = data
        self.num_workers = num_workers
        self.augmentation = augmentation
        self.counters = {"iteration": 0}
        self._epoch = 0
        self._loader = make_train_loader(
            get_split(data, "train"), batch_size, torch.initial_seed(), num_workers, pin_memory
        )
        self._sampler = cast(ShuffledBatches, self._loader.sampler)
        self._steps_per_trip = check_count("steps_per_trip", steps_per_trip)
        self._trips = Trips(self._sampler, 1)
        self._n_begun = 0  # batches of the present epoch
        self._n_done = 0  # of them, where a trip has several
        self._schedules = {name: part for name, part in model.named_modules() if isinstance(part, Schedule)}
        self._clocks: dict[str, Clock] = {}
        self._metrics: dict[str, Tensor] = {}
        for name, schedule in self._schedules.items():
            with _told_as(f"{name}.over"):
                self._clocks[name] = Clock(Interval.parse(schedule.over))

    def check(self) -> None:
        """Check, before any training, that what the schedules are measured in is counted.

        Raises:
            ValueError: It is not.
        """
        for name, clock in self._clocks.items():
            with _told_as(f"{name}.over"):
                clock.interval.check_unit(self.counters)

    def check_trainer(self, trainer: Trainer) -> None:
        """Check, before any training, that a trainer asks for nothing that this procedure can't do.

        Raises:
            ValueError: It does.
        """
        n_data = len(get_split(self.data, "train"))
        if n_data < trainer.world_size:
            raise ValueError(
                f"`trainer.devices`: {trainer.world_size} processes need as many training data or more, got {n_data}."
            )
        overfit_batches: float = cast(Any, trainer).overfit_batches
        if overfit_batches:
            raise ValueError(
                f"`trainer.overfit_batches` must be 0, got {overfit_batches!r}: it takes the place of what "
                "chooses the batches. `trainer.limit_train_batches` trains on so many of them."
            )

    def choose_trips(self, trainer: Trainer) -> None:
        """Choose the number of steps to a trip: as many as it may have, with all that is done done at its step.

        A trip ends where a callback must be called (`get_trip_stride`) and at the trainer's last step; it has one step
        where the trainer itself does something at each, or takes a fraction of an epoch's batches, which it would take
        of trips.
        """
        limit = trainer.limit_train_batches
        self._trips.limit = limit if isinstance(limit, int) else None
        is_each_asked_for = (
            trainer.accumulate_grad_batches != 1
            or trainer.gradient_clip_val is not None
            or trainer.world_size > 1
            or (isinstance(limit, float) and limit < 1)
        )
        strides = map(get_trip_stride, cast(Any, trainer).callbacks)
        last = max(trainer.max_steps, 0)
        self._trips.n_steps = 1 if is_each_asked_for else gcd(self._steps_per_trip, last, *strides)

    def count_batches(self, n_steps: int) -> int:
        """Give the number of batches that so many global steps take, of a training without accumulation."""
        return n_steps

    def setup(self, stage: str) -> None:
        self.choose_trips(self.trainer)
        self._sampler.share(self.trainer.world_size, self.global_rank)

    def train_dataloader(self) -> DataLoader[Any]:
        loader = move_loader(self._loader, self.device)
        return loader if self._trips.n_steps == 1 else join_trips(loader, self._trips)

    @property
    def n_batches(self) -> float:
        """Number of batches of an epoch; it is known once a training has begun."""
        return self.trainer.num_training_batches if self._trips.n_steps == 1 else self._trips.n_batches

    def get_first_batch(self, trip: int) -> int:
        """Give the position in its epoch of the first batch of a trip; after the last trip, the number of batches."""
        return trip if self._trips.n_steps == 1 else self._trips.get_first(trip)

    def on_train_start(self) -> None:
        self.trainer.callback_metrics.update(self._metrics)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        batches = cast(Sequence[dict[str, Tensor]], [batch] if self._trips.n_steps == 1 else batch)
        if self.augmentation is not None:
            for index, of_step in enumerate(batches, self.get_first_batch(batch_idx)):
                self._seed("augmentation", index)
                augment(of_step, self.augmentation)
        if self._trips.n_steps == 1:
            self.begin_step(batch_idx)

    def begin_step(self, batch_idx: int) -> None:
        """Make ready for a step: seed its noise, move the schedules on, and count it.

        Args:
            batch_idx: Position of its batch in the epoch.
        """
        self._epoch = self.current_epoch
        self._n_begun = batch_idx + 1
        self._seed("noise", batch_idx)
        for name, schedule in self._schedules.items():
            schedule.advance_to(self._read_fraction(self._clocks[name], batch_idx))
        self.counters["iteration"] += 1  # here: an optimizer may ask for the loss of a batch several times

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        n_done, n_broken_off = self._count_done()  # a batch that is not over is done again after a resume
        checkpoint["counters"] = {**self.counters, "iteration": self.counters["iteration"] - n_broken_off}
        checkpoint["schedules"] = {name: clock.state_dict() for name, clock in self._clocks.items()}
        epoch, batch = (self._epoch + 1, 0) if n_done == self.n_batches else (self._epoch, n_done)
        checkpoint["logs"] = {key: log.get_position() for key, log in list_logs(self.trainer.loggers).items()}
        checkpoint["n_processes"] = self.trainer.world_size
        checkpoint["metrics"] = dict(self.trainer.callback_metrics)
        checkpoint["position"] = {"epoch": epoch, "batch": batch}
        _write_position(checkpoint["loops"]["fit_loop"], epoch, self._find_trip(batch))
        _write_global_step(checkpoint["loops"]["fit_loop"], self.trainer.global_step)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.counters.update(checkpoint["counters"])
        for name, state in checkpoint["schedules"].items():
            self._clocks[name].load_state_dict(state)
        self._metrics = checkpoint["metrics"]
        self._epoch, batch = checkpoint["position"]["epoch"], checkpoint["position"]["batch"]
        self._n_begun = self._n_done = batch
        self._sampler.start_at(self._epoch, batch)
        _write_position(checkpoint["loops"]["fit_loop"], self._epoch, self._find_trip(batch))  # of other trips

    def _count_done(self) -> tuple[int, int]:
        """Count the batches of the epoch that are done, and those that were begun and are not."""
        if self._trips.n_steps > 1:
            return self._n_done, self._n_begun - self._n_done
        batches = cast(Any, self.trainer).fit_loop.epoch_loop.batch_progress.current
        return batches.processed, batches.ready - batches.processed

    def _find_trip(self, batch: int) -> int:
        return batch if self._trips.n_steps == 1 else self._trips.find(batch)

    def _seed(self, what: str, batch_idx: int) -> None:
        """Seed the generators for what is random at a batch: it is a function of the seed and of the place."""
        seed_generators(make_key(self._sampler.seed, what, self.global_rank, self.current_epoch, batch_idx))

    def _read_fraction(self, clock: Clock, batch_idx: int) -> float:
        """Read how much of a schedule has passed; what is counted is known after a resume, time is not."""
        reading = read_progress(clock.interval, self.trainer, batch_idx / self.n_batches)
        if clock.interval.unit != "seconds":
            return reading / clock.interval.amount
        clock.advance(reading)
        return clock.fraction


def _write_position(fit_loop: dict[str, Any], epoch: int, batch: int) -> None:
    """Write the progress of Lightning's loops as it is before a batch (of the Trainer) of an epoch, whatever led there.

    Lightning knows several states between two batches and between two epochs; going on from some of them, it leaves
    out a batch or an epoch.
    """
    begun = {"ready": epoch + (batch > 0), "started": epoch + (batch > 0)}
    for counts in fit_loop["epoch_progress"].values():
        counts.update({"processed": epoch, "completed": epoch, **begun})
    batches = fit_loop["epoch_loop.batch_progress"]
    batches["is_last_batch"] = False
    batches["total"].update(dict.fromkeys(batches["total"], batches["total"]["processed"]))
    batches["current"].update(dict.fromkeys(batches["current"], batch))


def _write_global_step(fit_loop: dict[str, Any], global_step: int) -> None:
    """Write the global step where Lightning looks for it, whether a trip has one step or several."""
    steps = {"ready": global_step, "completed": global_step}
    fit_loop["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"]["total"].update(steps)
    fit_loop["epoch_loop.manual_optimization.optim_step_progress"]["total"].update(steps)


@contextmanager
def _told_as(name: str) -> Generator[None]:
    """Name what a value error is about."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"`{name}`: {error}") from error
