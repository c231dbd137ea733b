"""Contracts of loggers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from frame_core.log_entry import LogEntry


@runtime_checkable
class EntryLogger(Protocol):
    """A logger that stores or shows every entry, in the order in which they are logged."""

    def log(
        self,
        name: str,
        log_entry: LogEntry,
        global_step: int | None = None,
        counters: Mapping[str, int] | None = None,
    ) -> None:
        """Log one entry.

        Args:
            name: Full name of the entry, such as ``ELBO/Validation``.
            log_entry: The entry.
            global_step: Number of optimizer steps so far, the step axis ``trainer/global_step``.
            counters: The optimization's counters, logged with the entry as ``counters/<name>``.
        """
        ...


@runtime_checkable
class ResumableLog(Protocol):
    """A logger whose log can be truncated to an earlier position, so that a resumed run repeats no entry."""

    def get_position(self) -> Any:
        """Write all entries to disk, and return the current position in the log as plain values."""
        ...

    def cut_back(self, position: Any) -> None:
        """Truncate the log to a position. Call it before anything is logged."""
        ...


@runtime_checkable
class CheckpointLogger(Protocol):
    """A logger that stores checkpoints."""

    def log_checkpoint(self, path: Path, name: str) -> None:
        """Store a checkpoint under a name, such as ``best``."""
        ...
