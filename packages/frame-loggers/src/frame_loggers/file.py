"""Logger that writes entries to files."""

import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only
from typing_extensions import override

from frame_core import SCALAR_ENTRY, EntryType, LogEntry, name_numbers
from frame_loggers.conversion import make_bins, make_pil_image, make_plain
from frame_loggers.files import replacing
from frame_loggers.metrics_file import Histogram, MetricsFile, MetricsLine, as_number, suggest_image_paths


class FileLogger(Logger):
    """Writes one line per entry to ``metrics.jsonl``, and images and plots as PNG to ``images/``.

    A line is a JSON object. It is written immediately and has these keys:

    - ``trainer/global_step``, or null if the step is unknown,
    - ``time``, in seconds since the epoch,
    - ``counters/<name>`` for each counter,
    - ``seconds``, the time that the evaluation took, if it was measured,
    - ``evaluated``, true if the line was added after the training,
    - the full name of each value.

    A value has one of these formats:

    - a number; JSON has no non-finite numbers, so they are the strings ``"NaN"``, ``"Infinity"`` and
      ``"-Infinity"``, which `float` can parse,
    - an image or plot: its path relative to the directory,
    - a histogram: ``{"edges": […], "counts": […], "non_finite": …}``,
    - a text: a string,
    - a table: an object of its columns.

    In a distributed run, only rank zero writes. Existing files in the directory are kept.

    Args:
        directory: Directory of the files. It is created with the first entry, and not again if it is removed.
        evaluated: Whether entries are added after the training, so that a resumed training keeps them.
    """

    def __init__(self, directory: str | Path, evaluated: bool = False) -> None:
        super().__init__()
        self._evaluated = evaluated
        self._directory = Path(directory).absolute()
        self._file = MetricsFile(self._directory)
        self._last_values: dict[str, tuple[float, int | None]] = {}

    @property
    @override
    def name(self) -> str:
        return ""

    @property
    @override
    def version(self) -> str:
        return ""

    @property
    @override
    def save_dir(self) -> str:
        return str(self._directory)

    @property
    @override
    def log_dir(self) -> str:
        return str(self._directory)

    @property
    def last_values(self) -> Mapping[str, tuple[float, int | None]]:
        """The last value of every logged number, and the global step at which it was logged."""
        return MappingProxyType(self._last_values)

    @rank_zero_only
    def log(
        self,
        name: str,
        log_entry: LogEntry,
        global_step: int | None = None,
        counters: Mapping[str, int] | None = None,
    ) -> None:
        """Log one entry; see `frame_core.EntryLogger`.

        Raises:
            ValueError: ``name`` is a reserved key, such as ``time``.
        """
        match log_entry.data_type:
            case EntryType.SCALAR | EntryType.SCALARS:
                values = name_numbers(name, log_entry)
            case EntryType.IMAGE | EntryType.PLOT:
                values = {name: self._save_image(name, log_entry, global_step)}
            case EntryType.HISTOGRAM:
                bins = make_bins(log_entry.value)
                values = {name: Histogram(bins.edges.tolist(), bins.counts.tolist(), bins.n_non_finite)}
            case EntryType.TEXT:
                values = {name: log_entry.value}
            case EntryType.TABLE:
                columns = {key: [make_plain(cell) for cell in cells] for key, cells in log_entry.value.items()}
                values = {name: columns}
        self._write(MetricsLine(values, global_step, time.time(), log_entry.seconds, counters or {}, self._evaluated))

    def get_position(self) -> dict[str, int]:
        """Return the current position in the log: the length of ``metrics.jsonl``, in bytes."""
        return {"bytes": self._file.flush()}

    def cut_back(self, position: Mapping[str, int]) -> None:
        """Truncate ``metrics.jsonl`` to a position, and delete the images that it no longer refers to.

        What was added after the training stays.
        """
        self._file.cut_back(position["bytes"])
        lines = self._file.read()
        kept = {value for line in lines for value in line.values.values() if isinstance(value, str)}
        for image in self._directory.glob("images/*.png"):
            if image.relative_to(self._directory).as_posix() not in kept:
                image.unlink()
        for line in lines:
            self._update_last_values(line)

    @override
    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        values = {name: LogEntry(SCALAR_ENTRY, value).value for name, value in metrics.items()}
        self._write(MetricsLine(values, step, time.time()))

    @override
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the run directory already has the composed config."""

    def _write(self, line: MetricsLine) -> None:
        self._file.append(line)
        self._update_last_values(line)

    def _update_last_values(self, line: MetricsLine) -> None:
        numbers = {name: as_number(value) for name, value in line.values.items()}
        self._last_values.update({name: (n, line.global_step) for name, n in numbers.items() if n is not None})

    def _save_image(self, name: str, log_entry: LogEntry, global_step: int | None) -> str:
        """Save an image atomically under an unused file name, and return its relative path."""
        paths = (self._directory / path for path in suggest_image_paths(name, global_step))
        path = next(path for path in paths if not path.exists())
        self._file.make_directory()
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as temporary:
            make_pil_image(log_entry).save(temporary, format="PNG")
        return path.relative_to(self._directory).as_posix()
