"""Entries as TensorBoard's event files."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.tensorboard import TensorBoardLogger as LightningTensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor
from typing_extensions import override

from frame_core import EntryType, LogEntry, name_numbers
from frame_loggers.conversion import make_bins, make_image, make_plain, prefix_counters

try:
    from torch.utils.tensorboard.writer import SummaryWriter
except ModuleNotFoundError as error:
    if error.name != "tensorboard":
        raise
    raise ModuleNotFoundError(
        "`TensorBoardLogger` needs tensorboard: `pip install frame-loggers[tensorboard]`.", name=error.name
    ) from None

_log = logging.getLogger("frame_loggers")


class TensorBoardLogger(LightningTensorBoardLogger):
    """Writes event files that ``tensorboard --logdir <directory>`` shows.

    TensorBoard has no tables: a table is shown as text.

    Args:
        directory: Where the event files are written, without a folder per version.
    """

    def __init__(self, directory: str | Path) -> None:
        self._directory = str(Path(directory).absolute())
        self._told_about_tables = False
        super().__init__(self._directory, name="", version="", default_hp_metric=False)

    @property
    @override
    def root_dir(self) -> str:
        return self._directory

    @property
    @override
    def log_dir(self) -> str:
        return self._directory

    @rank_zero_only
    def log(
        self,
        name: str,
        log_entry: LogEntry,
        global_step: int | None = None,
        counters: Mapping[str, int] | None = None,
    ) -> None:
        """Log one entry, as `frame_core.EntryLogger` says; one without a step is shown at step 0."""
        writer = self.experiment
        match log_entry.data_type:
            case EntryType.SCALAR | EntryType.SCALARS:
                self.log_metrics(name_numbers(name, log_entry), global_step)
            case EntryType.IMAGE | EntryType.PLOT:
                writer.add_image(name, make_image(log_entry), global_step)
            case EntryType.HISTOGRAM:
                _add_histogram(writer, name, log_entry.value, global_step)
            case EntryType.TEXT:
                writer.add_text(name, log_entry.value, global_step)
            case EntryType.TABLE:
                self._tell_about_tables()
                writer.add_text(name, _make_markdown(log_entry.value), global_step)
        self.log_metrics(prefix_counters(counters), global_step)

    def get_position(self) -> dict[str, int]:
        """Tell how far the log has come: the length of each event file, in bytes."""
        self.save()
        return {path.name: path.stat().st_size for path in self._find_event_files()}

    def cut_back(self, position: Mapping[str, int]) -> None:
        """Take back what event files hold after a position, and those that came after it."""
        for path in self._find_event_files():
            if path.name in position:
                os.truncate(path, min(path.stat().st_size, position[path.name]))
            else:
                path.unlink()

    def _find_event_files(self) -> list[Path]:
        return sorted(Path(self._directory).glob("events.out.tfevents.*"))

    @override
    @rank_zero_only
    def save(self) -> None:
        """Write what is still in memory. No ``hparams.yaml``: the run directory holds the composed config."""
        if self._experiment is not None:
            self._experiment.flush()

    def _tell_about_tables(self) -> None:
        if not self._told_about_tables:
            _log.warning("TensorBoard has no tables: they are shown as text.")
        self._told_about_tables = True


def _add_histogram(writer: SummaryWriter, name: str, values: Tensor, global_step: int | None) -> None:
    bins = make_bins(values)
    finite = values[values.isfinite()].double()
    writer.add_histogram_raw(
        name,
        min=bins.edges[0].item(),
        max=bins.edges[-1].item(),
        num=len(finite),
        sum=finite.sum().item(),
        sum_squares=finite.square().sum().item(),
        # A bucket has an upper limit only: an empty one before the others tells where the first of them begins.
        bucket_limits=bins.edges.tolist(),
        bucket_counts=[0, *bins.counts.tolist()],
        global_step=global_step,
    )


def _make_markdown(columns: Mapping[str, Sequence[Any]]) -> str:
    rows = [list(columns), ["---"] * len(columns), *zip(*columns.values())]
    return "\n".join(f"| {' | '.join(map(_escape, row))} |" for row in rows)


def _escape(cell: Any) -> str:
    return str(make_plain(cell)).replace("|", "\\|").replace("\n", " ")
