"""Saving of checkpoints: at an interval, and at the best value of a metric."""

import logging
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint
from torch.optim import Optimizer

from frame_core import CheckpointLogger, LogEntry, name_numbers
from frame_train.callbacks.averaging import is_averaged_after
from frame_train.callbacks.clocked import ClockedCallback
from frame_train.callbacks.ending.finiteness import is_finite
from frame_train.callbacks.ending.stopping import is_stopped
from frame_train.data.loaders import BatchError
from frame_train.errors import TrainingError, suggest
from frame_train.optimization.lightning_internals import count_batches, read_position
from frame_train.optimization.progress import begins_anywhere
from frame_train.runs.checkpoint_files import write_checkpoint

_log = logging.getLogger("frame_train")

_LONGEST_NAME = 100  # the names of its manifest and of its temporary file are longer


class PeriodicCheckpoint(ClockedCallback, Checkpoint):
    """Callback that saves a checkpoint after each interval, and once more when training ends or fails.

    It saves after a complete optimizer step, never while gradients accumulate. After the last batch of an epoch, it
    saves when the next epoch begins, so that all schedules have the state from which a resumed run continues. Weights
    that are not finite never replace a checkpoint.

    If the loader of the batches can't begin within an epoch, it saves between epochs only. A training that breaks off
    within an epoch then leaves its latest weights as ``interrupted.ckpt``, from which no run resumes.

    Args:
        directory: The folder of the checkpoints.
        save_every: The interval, such as ``"1 epoch"``; any interval that `EvaluationCallback` takes.
        keep_all: Whether to keep every checkpoint, as ``step-<global step>.ckpt``, or only ``last.ckpt``.

    Raises:
        ValueError: ``save_every`` is not an interval.
    """

    def __init__(self, directory: str, save_every: str, keep_all: bool = False) -> None:
        super().__init__(save_every, "save_every")
        self._save_every = save_every
        self._directory = Path(directory)
        self._keep_all = keep_all
        self._saved_step: int | None = None
        self._is_due = False
        self._began_at: int | None = None  # the global step at which the latest optimizer step began
        self._batch_began_at = 0  # the global step after the last complete batch

    @property
    def state_key(self) -> str:
        return f"PeriodicCheckpoint[{self._directory.name}, {self._save_every}, keep_all={self._keep_all}]"

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        _make_folder(self._directory, trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._batch_began_at = trainer.global_step

    def on_before_zero_grad(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if trainer.accumulate_grad_batches > 1:  # from now on, gradients accumulate, which a checkpoint lacks
            self._began_at = trainer.global_step

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        self._began_at = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._batch_began_at = trainer.global_step
        for other in _find(PeriodicCheckpoint, trainer):  # before any of them saves, because it saves all clocks
            other._read_clock(trainer)
        is_last = batch_idx + 1 == trainer.num_training_batches
        if (self._is_due or is_stopped(trainer)) and not is_last and begins_anywhere(trainer):
            self._save(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._is_due or is_stopped(trainer):
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if is_averaged_after(trainer) and not is_stopped(trainer):
            self._saved_step = None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._saved_step != trainer.global_step:
            self._save(trainer, is_complete=not is_stopped(trainer))
        self._log_last(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        is_new = trainer.global_step not in (0, self._saved_step)
        if trainer.world_size > 1:  # all ranks save a checkpoint together, and some may be lost
            return
        is_sound = isinstance(exception, BatchError) or not isinstance(exception, TrainingError)
        if is_new and self._is_between_steps(trainer) and is_sound:
            self._save(trainer)
        self._log_last(trainer)

    def _read_clock(self, trainer: Trainer) -> None:
        if self.is_over(trainer) and self._is_between_steps(trainer):
            self.begin_again(trainer)
            self._is_due = True

    def _is_between_steps(self, trainer: Trainer) -> bool:
        """Return whether the last optimizer step is complete, and its batch has no further optimizer steps."""
        n_begun, n_done = count_batches(trainer)
        if n_begun > n_done and trainer.global_step > self._batch_began_at:
            return False
        return self._began_at is None or trainer.global_step > self._began_at

    def _log_last(self, trainer: Trainer) -> None:
        path = self._directory / "last.ckpt"
        if not self._keep_all and path.exists():
            log_checkpoint(path, trainer)

    def _save(self, trainer: Trainer, is_complete: bool = False) -> None:
        self._is_due = False
        self._saved_step = trainer.global_step
        for best in _find(BestCheckpoint, trainer):  # first, because the checkpoint below saves their best values
            best.save_if_due(trainer)
        is_resumable = is_complete or begins_anywhere(trainer) or read_position(trainer)[1] == 0
        name = f"step-{trainer.global_step:08d}" if self._keep_all else "last"
        path = self._directory / f"{name if is_resumable else 'interrupted'}.ckpt"
        save_checkpoint(path, trainer, is_resumable)
        if self._keep_all:
            log_checkpoint(path, trainer)


class BestCheckpoint(Checkpoint):
    """Callback that keeps the checkpoint with the best value of a logged metric, as ``<filename>.ckpt``.

    The metric is any number that an evaluation logs, and the checkpoint has the weights that were evaluated. No run
    resumes from it, because some callbacks may not have seen its step, and gradients may be incomplete.

    Args:
        directory: The folder of the checkpoint.
        monitor: Full name of the metric, such as ``ELBO/Validation``; None for no checkpoint.
        mode: Whether the best value is the largest (``max``) or the smallest (``min``).
        filename: Name of the file, without ``.ckpt``; two metrics need two names.

    Raises:
        ValueError: ``mode`` is neither ``max`` nor ``min``, or ``filename`` is not a file name.
    """

    call_every = 0  # logged entries trigger it

    def __init__(
        self,
        directory: str,
        monitor: str | None,
        mode: Literal["max", "min"] = "max",
        filename: str = "best",
    ) -> None:
        if mode not in ("max", "min"):
            raise ValueError(f"`mode` must be 'max' or 'min', got {mode!r}.")
        if (
            filename != Path(filename).name
            or filename in ("", "..")
            or not filename.isprintable()
            or len(filename) > _LONGEST_NAME
        ):
            raise ValueError(
                f"`filename` must be a file name without a folder, of at most {_LONGEST_NAME} characters, "
                f"got {filename!r}."
            )
        self.monitor = monitor
        self._path = Path(directory) / f"{filename}.ckpt"
        self._mode = mode
        self._sign = 1.0 if mode == "max" else -1.0
        self._best = float("-inf")
        self._is_due = False
        self._was_logged = False
        self._names: dict[str, None] = {}  # of logged numbers

    @property
    def state_key(self) -> str:
        return f"BestCheckpoint[{self._path.name}, {self.monitor}, {self._mode}]"

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make the folder, and check that no other callback writes to the same file.

        Raises:
            ValueError: Another callback does.
        """
        for other in cast(Any, trainer).callbacks:
            if isinstance(other, BestCheckpoint) and other is not self and other._path == self._path:
                raise ValueError(
                    f"`filename`: the best checkpoints by {self.monitor!r} and by {other.monitor!r} are both "
                    f"{self._path.name!r}. Set another `filename` for one of them."
                )
        _make_folder(self._path.parent, trainer)

    def on_log_entry(self, name: str, entry: LogEntry) -> None:
        """Remember a new best value. The checkpoint is saved once all callbacks have seen the step."""
        values = name_numbers(name, entry)
        self._names |= dict.fromkeys(values)
        self._was_logged |= self.monitor in values
        if self.monitor in values and self._sign * values[self.monitor] > self._best:
            self._best = self._sign * values[self.monitor]
            self._is_due = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.save_if_due(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save_last(trainer)
        if self.monitor is not None and not self._was_logged and not is_stopped(trainer):
            message = f"no number was logged as {self.monitor!r}, only {', '.join(map(repr, self._names)) or 'none'}."
            _log.warning("%s was not saved: %s%s", self._path.name, message, suggest(self.monitor, self._names))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if trainer.world_size == 1:  # all ranks save a checkpoint together, and some may be lost
            self._save_last(trainer)

    def _save_last(self, trainer: Trainer) -> None:
        self.save_if_due(trainer)
        if self._path.exists():
            log_checkpoint(self._path, trainer)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best, "was_logged": self._was_logged}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._best = state_dict["best"]
        self._was_logged = state_dict["was_logged"]

    def save_if_due(self, trainer: Trainer) -> None:
        """Save the weights if they are the best and have not been saved."""
        if self._is_due:
            self._is_due = False
            save_checkpoint(self._path, trainer, is_resumable=False)


_Kept = TypeVar("_Kept", bound=Checkpoint)


def _make_folder(folder: Path, trainer: Trainer) -> None:
    if trainer.is_global_zero:
        folder.mkdir(parents=True, exist_ok=True)


def _find(kind: type[_Kept], trainer: Trainer) -> list[_Kept]:
    return [callback for callback in cast(list[Any], cast(Any, trainer).callbacks) if isinstance(callback, kind)]


def save_checkpoint(path: Path, trainer: Trainer, is_resumable: bool) -> None:
    """Save a checkpoint atomically, unless weights are not finite.

    All ranks contribute, and rank 0 writes.
    """
    if not trainer.strategy.reduce_boolean_decision(is_finite(trainer.lightning_module), all=True):
        _log.warning("%s was not saved: the weights at step %d are not finite.", path.name, trainer.global_step)
    elif trainer.is_global_zero:
        write_checkpoint(path, trainer.global_step, is_resumable, trainer.save_checkpoint)
    else:
        trainer.save_checkpoint(path)


def log_checkpoint(path: Path, trainer: Trainer) -> None:
    """Pass a checkpoint to every logger that stores checkpoints."""
    for logger in trainer.loggers:
        if isinstance(logger, CheckpointLogger):
            logger.log_checkpoint(path, path.stem)
