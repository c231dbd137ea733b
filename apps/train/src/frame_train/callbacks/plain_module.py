"""Support for a plain `LightningModule`: counters, stateless seeding, schedules and positions in checkpoints."""

from collections.abc import MutableMapping
from typing import Any, cast

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from frame_core import seed_generators
from frame_train.console import print_notice
from frame_train.data.seeding import derive_seed, get_run_seed
from frame_train.optimization.learning_rate import check_restored_lengths
from frame_train.optimization.lightning_internals import count_all_batches, read_position, write_position
from frame_train.optimization.progress import as_optimization, begins_anywhere
from frame_train.optimization.schedules import ModelSchedules
from frame_train.optimization.training_state import Position, TrainingState


class PlainModuleSupport(Callback):
    """Callback that adds to a `LightningModule` what an `OptimizationModule` does itself.

    It seeds the noise of each step, advances the schedules of the model, and adds the training state to each
    checkpoint. A module without ``counters`` has the counter ``iteration``.

    A run resumes exactly if the batches come from `frame_train.data.make_shuffled_loader`. With any other loader, which
    is seeded before each epoch, it resumes at the beginning of an epoch.

    Args:
        module: The module, with ``model`` and ``data``.

    Raises:
        ValueError: The ``over`` of a schedule is not an interval.
    """

    def __init__(self, module: LightningModule) -> None:
        self._seed = get_run_seed()
        self._schedules = ModelSchedules(cast(Any, module.model))
        self._metrics: dict[str, Tensor] = {}
        self._loaded: dict[str, Any] = {}  # the checkpoint, until training begins
        self._resumes_at: Position | None = None
        self._seeded_epoch = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._schedules.check(as_optimization(pl_module).counters)
        self._schedules.check_trainer(trainer)
        self._seed_epoch(0, trainer)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        check_restored_lengths(self._loaded, trainer)
        self._loaded = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.callback_metrics.update(self._metrics)
        self._schedules.exclude_from_averages(trainer)
        if self._resumes_at is None:
            return
        if begins_anywhere(trainer):
            cast(Any, trainer.train_dataloader).sampler.start_at(self._resumes_at.epoch, self._resumes_at.batch)
        else:
            print_notice(
                f"`{type(pl_module).__name__}` resumes at the beginning of epoch {self._resumes_at.epoch + 1}, because "
                "its loader can't begin within an epoch. `frame_train.data.make_shuffled_loader` makes one that can."
            )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch != self._seeded_epoch:  # the loader has already begun the first epoch
            self._seed_epoch(trainer.current_epoch, trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        seed_generators(derive_seed(self._seed, "noise", trainer.global_rank, trainer.current_epoch, batch_idx))
        self._schedules.advance(trainer, batch_idx / trainer.num_training_batches)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        _, n_done = count_all_batches(trainer)  # a resumed run repeats an incomplete step
        counters = dict(as_optimization(pl_module, n_done).counters)
        epoch, batch = read_position(trainer)
        position = Position(epoch, batch if begins_anywhere(trainer) else 0)
        TrainingState.take(trainer, counters, position, self._schedules.state_dict()).write(checkpoint)
        write_position(checkpoint, position.epoch, position.batch)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        state = TrainingState.read(checkpoint)
        counters = getattr(pl_module, "counters", None)
        if isinstance(counters, MutableMapping):
            cast(MutableMapping[str, int], counters).update(state.counters)
        self._schedules.load_state_dict(state.schedules)
        self._metrics = dict(state.metrics)
        self._loaded = checkpoint
        self._resumes_at = state.position
        self._seed_epoch(state.position.epoch, trainer)

    def _seed_epoch(self, epoch: int, trainer: Trainer) -> None:
        """Seed the random numbers of a loader before it begins an epoch."""
        self._seeded_epoch = epoch
        seed_generators(derive_seed(self._seed, "epoch", trainer.global_rank, epoch))
