"""Where log entries go."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from frame_core.log_entry import LogEntry


@runtime_checkable
class EntryLogger(Protocol):
    """Shows entries on some back end, in the order they come, none dropped."""

    def log(
        self,
        name: str,
        log_entry: LogEntry,
        global_step: int | None = None,
        counters: Mapping[str, int] | None = None,
    ) -> None:
        """Log one entry.

        Args:
            name: Full name of what is logged, such as ``ELBO/Validation``.
            log_entry: The entry.
            global_step: Number of optimizer steps done, the step axis ``trainer/global_step``.
            counters: The optimization's counters, logged beside it as ``counters/<name>``.
        """
        ...
