"""A log of the learning rate."""

from typing import Any

from pytorch_lightning import LightningModule, Trainer

from frame_core import SCALAR_ENTRY, SCALARS_ENTRY, LogEntry
from frame_train.callbacks.clocked import ClockedCallback
from frame_train.optimization.logs import log_entry


class LearningRateCallback(ClockedCallback):
    """Callback that logs the learning rate as ``LearningRate``, or that of each of several optimizers by its number.

    It is that of the first parameter group of an optimizer.

    Args:
        log_every: The interval, such as ``"100 iterations"``; any interval that `EvaluationCallback` takes.

    Raises:
        ValueError: ``log_every`` is not an interval.
    """

    def __init__(self, log_every: str) -> None:
        super().__init__(log_every, "log_every")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.is_over(trainer):
            self.begin_again(trainer)
            log_entry("LearningRate", _read_rates(trainer), trainer)


def _read_rates(trainer: Trainer) -> LogEntry:
    rates = {str(index): optimizer.param_groups[0]["lr"] for index, optimizer in enumerate(trainer.optimizers)}
    return LogEntry(SCALAR_ENTRY, rates["0"]) if len(rates) == 1 else LogEntry(SCALARS_ENTRY, rates)
