"""What every procedure has, however it updates its model."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from frame_core import Model, Schedule, SizedDataset, get_split
from frame_train.augmentation import Augmentation, augment
from frame_train.interval import Clock, Interval
from frame_train.keys import make_key, seed_generators
from frame_train.loaders import ShuffledBatches, make_train_loader, move_loader
from frame_train.progress import list_logs, read_progress


class Procedure(LightningModule):
    """A model, its data, a loader of shuffled training batches, counters, and the schedules of the model.

    Counters and schedules are in the checkpoint, and so are the numbers that callbacks monitor.

    Args:
        model: The model.
        data: The splits of the data, ``train`` among them.
        num_workers: Number of processes that read a data set that is not in memory.
        batch_size: Number of data in a batch.
        pin_memory: Whether batches lie in pinned memory; without effect where there is no GPU.
        augmentation: Changes the pictures ``x`` of a training batch, on the model's device; None for no change.

    Raises:
        TypeError: ``augmentation`` can't be called.
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
    ) -> None:
        super().__init__()
        if augmentation is not None and not callable(augmentation):
            raise TypeError(
                "`augmentation` must take a batch of pictures, as `frame_train.augmentation.RandomShift` does, "
                f"got {augmentation!r}."
            )
        self.model = model
        self.data = data
        self.augmentation = augmentation
        self.counters = {"iteration": 0}
        self._epoch = 0
        self._loader = make_train_loader(
            get_split(data, "train"), batch_size, torch.initial_seed(), num_workers, pin_memory
        )
        self._sampler = cast(ShuffledBatches, self._loader.sampler)
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
        overfit_batches: float = cast(Any, trainer).overfit_batches
        if overfit_batches:
            raise ValueError(
                f"`trainer.overfit_batches` must be 0, got {overfit_batches!r}: it takes the place of what "
                "chooses the batches. `trainer.limit_train_batches` trains on so many of them."
            )

    def count_batches(self, n_steps: int) -> int:
        """Give the number of batches that so many global steps take, of a training without accumulation."""
        return n_steps

    def train_dataloader(self) -> DataLoader[Any]:
        return move_loader(self._loader, self.device)

    def on_train_start(self) -> None:
        self.trainer.callback_metrics.update(self._metrics)

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self._epoch = self.current_epoch
        if self.augmentation is not None:
            self._seed("augmentation", batch_idx)
            augment(batch, self.augmentation)
        self._seed("noise", batch_idx)
        for name, schedule in self._schedules.items():
            schedule.advance_to(self._read_fraction(self._clocks[name], batch_idx))
        self.counters["iteration"] += 1  # here: an optimizer may ask for the loss of a batch several times

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        batches = cast(Any, self.trainer).fit_loop.epoch_loop.batch_progress.current
        n_broken_off = batches.ready - batches.processed  # a batch that is not over is done again after a resume
        checkpoint["counters"] = {**self.counters, "iteration": self.counters["iteration"] - n_broken_off}
        checkpoint["schedules"] = {name: clock.state_dict() for name, clock in self._clocks.items()}
        is_over = batches.processed == self.trainer.num_training_batches
        epoch, batch = (self._epoch + 1, 0) if is_over else (self._epoch, batches.processed)
        checkpoint["logs"] = {key: log.get_position() for key, log in list_logs(self.trainer.loggers).items()}
        checkpoint["metrics"] = dict(self.trainer.callback_metrics)
        checkpoint["position"] = {"epoch": epoch, "batch": batch}
        _write_position(checkpoint["loops"]["fit_loop"], epoch, batch)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.counters.update(checkpoint["counters"])
        for name, state in checkpoint["schedules"].items():
            self._clocks[name].load_state_dict(state)
        self._metrics = checkpoint["metrics"]
        self._epoch = checkpoint["position"]["epoch"]
        self._sampler.start_at(**checkpoint["position"])

    def _seed(self, what: str, batch_idx: int) -> None:
        """Seed the generators for what is random at a batch: it is a function of the seed and of the place."""
        seed_generators(make_key(self._sampler.seed, what, self.global_rank, self.current_epoch, batch_idx))

    def _read_fraction(self, clock: Clock, n_batches: int) -> float:
        """Read how much of a schedule has passed; what is counted is known after a resume, time is not."""
        reading = read_progress(clock.interval, self.trainer, n_batches)
        if clock.interval.unit != "seconds":
            return reading / clock.interval.amount
        clock.advance(reading)
        return clock.fraction


def _write_position(fit_loop: dict[str, Any], epoch: int, batch: int) -> None:
    """Write the progress of Lightning's loops as it is before a batch of an epoch, whatever led there.

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


@contextmanager
def _told_as(name: str) -> Generator[None]:
    """Name what a value error is about."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"`{name}`: {error}") from error
