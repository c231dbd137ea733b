"""Logger that writes entries to files."""

import json
import math
import os
import re
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only
from typing_extensions import override

from frame_core import SCALAR_ENTRY, EntryType, LogEntry, name_numbers
from frame_loggers.conversion import GLOBAL_STEP, make_bins, make_pil_image, make_plain, prefix_counters

SECONDS = "seconds"
"""Name under which the time that an evaluation took is logged."""


class FileLogger(Logger):
    """Writes one line per entry to ``metrics.jsonl``, and images and plots as PNG to ``images/``.

    A line is a JSON object. It is written immediately and has these keys:

    - ``trainer/global_step``, or null if the step is unknown,
    - ``time``, in seconds since the epoch,
    - ``counters/<name>`` for each counter,
    - ``seconds``, the time that the evaluation took, if it was measured,
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
        directory: Directory of the files. It is created with the first entry.
    """

    def __init__(self, directory: str | Path) -> None:
        super().__init__()
        self._directory = Path(directory).absolute()
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
                histogram = {
                    "edges": bins.edges.tolist(),
                    "counts": bins.counts.tolist(),
                    "non_finite": bins.n_non_finite,
                }
                values = {name: histogram}
            case EntryType.TEXT:
                values = {name: log_entry.value}
            case EntryType.TABLE:
                columns = {key: [make_plain(cell) for cell in cells] for key, cells in log_entry.value.items()}
                values = {name: columns}
        duration = {} if log_entry.seconds is None else {SECONDS: log_entry.seconds}
        self._write(values, global_step, {**prefix_counters(counters), **duration})
        self._update_last_values(name_numbers(name, log_entry), global_step)

    def get_position(self) -> dict[str, int]:
        """Return the current position in the log: the length of ``metrics.jsonl``, in bytes."""
        path = self._directory / "metrics.jsonl"
        if not path.exists():
            return {"bytes": 0}
        with path.open("rb") as file:
            os.fsync(file.fileno())
        return {"bytes": path.stat().st_size}

    def cut_back(self, position: Mapping[str, int]) -> None:
        """Truncate ``metrics.jsonl`` to a position, and delete the images that it no longer refers to."""
        path = self._directory / "metrics.jsonl"
        if path.exists():
            os.truncate(path, min(path.stat().st_size, position["bytes"]))
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
        kept = {value for line in lines for value in line.values() if isinstance(value, str)}
        for image in self._directory.glob("images/*.png"):
            if image.relative_to(self._directory).as_posix() not in kept:
                image.unlink()
        for line in lines:
            step = line.pop(GLOBAL_STEP)
            numbers = {name: value for name, value in line.items() if _is_value(name, value)}
            self._last_values.update({name: (float(value), step) for name, value in numbers.items()})

    @override
    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        values = {name: LogEntry(SCALAR_ENTRY, value).value for name, value in metrics.items()}
        self._write(values, step, {})
        self._update_last_values(values, step)

    @override
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the run directory already has the composed config."""

    def _update_last_values(self, values: Mapping[str, float], global_step: int | None) -> None:
        self._last_values.update({name: (value, global_step) for name, value in values.items()})

    def _write(self, values: Mapping[str, Any], global_step: int | None, others: Mapping[str, float]) -> None:
        line = {GLOBAL_STEP: global_step, "time": time.time(), **others}
        for name in values:
            if name in line or name == SECONDS:
                raise ValueError(f"{name!r} is a reserved key of `metrics.jsonl`: log the value under another name.")
        text = json.dumps(_as_strict_json({**line, **values}), allow_nan=False)
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / "metrics.jsonl"
        n_bytes = path.stat().st_size if path.exists() else 0
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(text + "\n")
        except OSError:
            if path.exists():
                os.truncate(path, n_bytes)  # an incomplete line would make the file unreadable
            raise

    def _save_image(self, name: str, log_entry: LogEntry, global_step: int | None) -> str:
        """Save an image atomically under an unused file name, and return its relative path."""
        folder = self._directory / "images"
        folder.mkdir(parents=True, exist_ok=True)
        path = next(path for path in _suggest_paths(folder, name, global_step) if not path.exists())
        temporary = path.with_name(f".{path.name}.tmp")
        make_pil_image(log_entry).save(temporary, format="PNG")
        temporary.replace(path)
        return path.relative_to(self._directory).as_posix()


def _suggest_paths(folder: Path, name: str, global_step: int | None) -> Iterator[Path]:
    safe_name = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[:100]  # file names have at most 255 bytes
    stem = safe_name if global_step is None else f"{safe_name}-{global_step:08d}"
    yield folder / f"{stem}.png"
    for index in count(1):
        yield folder / f"{stem}-{index}.png"


def _as_strict_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_strict_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_strict_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _is_value(name: str, value: Any) -> bool:
    """Return whether a key and its value on a line are a logged number."""
    is_number = isinstance(value, int | float) or value in ("NaN", "Infinity", "-Infinity")
    return is_number and name not in ("time", SECONDS) and not name.startswith("counters/")
