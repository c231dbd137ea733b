"""Log entries for any logger of Lightning."""

import logging
from typing import Any
from weakref import WeakSet

from pytorch_lightning.loggers import Logger, TensorBoardLogger

from frame_core import EntryType, LogEntry, name_numbers
from frame_loggers.conversion import make_pil_image, make_plain

_log = logging.getLogger("frame_loggers")

_warned: WeakSet[Logger] = WeakSet()


def log_with(logger: Logger, name: str, log_entry: LogEntry, global_step: int | None = None) -> None:
    """Log an entry with a logger of Lightning that has no method ``log``, in the nearest form that it can show.

    Numbers are metrics. TensorBoard shows every other entry too. A logger with the methods ``log_image``, ``log_text``
    and ``log_table`` of Lightning's `WandbLogger` shows all except histograms. Other loggers leave them out, with one
    warning.

    Args:
        logger: The logger.
        name: Full name of the entry.
        log_entry: The entry.
        global_step: Number of optimizer steps so far.
    """
    numbers = name_numbers(name, log_entry)
    if numbers:
        logger.log_metrics(numbers, global_step)
    elif isinstance(logger, TensorBoardLogger):
        from frame_loggers.tensorboard import write_entry  # the library is imported only where needed

        write_entry(logger.experiment, name, log_entry, global_step)
    elif not _log_media(logger, name, log_entry, global_step) and logger not in _warned:
        _warned.add(logger)
        what = (type(logger).__name__, name, log_entry.data_type)
        _log.warning("%s can't show %r (%s). It leaves out such entries; the run directory has them.", *what)


def _log_media(logger: Any, name: str, log_entry: LogEntry, global_step: int | None) -> bool:
    """Log an entry by the method of a logger for its type; return whether the logger has this method."""
    match log_entry.data_type:
        case EntryType.IMAGE | EntryType.PLOT if hasattr(logger, "log_image"):
            logger.log_image(key=name, images=[make_pil_image(log_entry)], step=global_step)
        case EntryType.TEXT if hasattr(logger, "log_text"):
            logger.log_text(key=name, columns=["text"], data=[[log_entry.value]], step=global_step)
        case EntryType.TABLE if hasattr(logger, "log_table"):
            rows = [[make_plain(cell) for cell in row] for row in zip(*log_entry.value.values())]
            logger.log_table(key=name, columns=list(log_entry.value), data=rows, step=global_step)
        case _:
            return False
    return True
