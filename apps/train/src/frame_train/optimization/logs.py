"""Dispatch of log entries to loggers and callbacks, and truncation of logs before a resume."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import torch
from pytorch_lightning import Trainer

from frame_core import EntryLogger, LogEntry, ResumableLog, name_numbers
from frame_loggers.lightning import log_with
from frame_train.optimization.progress import get_optimization


@runtime_checkable
class EntryListener(Protocol):
    """A callback that receives every log entry."""

    def on_log_entry(self, name: str, entry: LogEntry) -> None:
        """Receive an entry at the step at which it is logged."""
        ...


def list_logs(loggers: Sequence[Any]) -> dict[str, ResumableLog]:
    """Return the loggers whose logs can be truncated, by the name of their class."""
    return {type(logger).__name__: logger for logger in loggers if isinstance(logger, ResumableLog)}


def truncate_logs(loggers: Sequence[Any], positions: Mapping[str, Any]) -> None:
    """Remove what was logged after the positions of a checkpoint."""
    for key, logger in reversed(
        list_logs(loggers).items()
    ):  # the file logger last, because other loggers read its files
        if key in positions:
            logger.cut_back(positions[key])


def log_entry(name: str, entry: LogEntry, trainer: Trainer) -> None:
    """Pass an entry to every logger, and to every callback that listens to entries.

    Its numbers also become metrics that Lightning's own callbacks, such as `EarlyStopping`, can monitor.
    """
    trainer.callback_metrics.update({key: torch.tensor(value) for key, value in name_numbers(name, entry).items()})
    for logger in trainer.loggers:
        if isinstance(logger, EntryLogger):
            logger.log(name, entry, trainer.global_step, get_optimization(trainer).counters)
        else:
            log_with(logger, name, entry, trainer.global_step)
    for callback in cast(Any, trainer).callbacks:
        if isinstance(callback, EntryListener):
            callback.on_log_entry(name, entry)
