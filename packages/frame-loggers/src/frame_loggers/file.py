"""Entries as lines of a file and pictures in a folder, independent of any service."""

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
from frame_loggers.conversion import GLOBAL_STEP, make_bins, make_picture, make_plain, prefix_counters

SECONDS = "seconds"
"""What the cost of an entry is called on its line."""


class FileLogger(Logger):
    """Writes a line per entry to ``metrics.jsonl``, and pictures as PNG to ``images/``.

    A line is a JSON object, written at once: ``trainer/global_step`` (null when it is not known), ``time``
    in seconds since the epoch, the counters as ``counters/<name>``, ``seconds`` that the entry took to make
    where that was measured, and each value under its full name:

    - a number; one that is not finite is the string ``"NaN"``, ``"Infinity"`` or ``"-Infinity"``, which
      `float` reads back, because JSON has no such numbers,
    - the path of a picture, an image or a plot, from the directory on,
    - a histogram as ``{"edges": […], "counts": […], "non_finite": …}``,
    - a text as a string, a table as an object of its columns.

    Only the first process of a distributed run writes. Whatever is in the directory already is kept.

    Args:
        directory: Where to write; it is made when the first entry comes.
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
        """The last value of every number that was logged, and the global step it was logged at."""
        return MappingProxyType(self._last_values)

    @rank_zero_only
    def log(
        self,
        name: str,
        log_entry: LogEntry,
        global_step: int | None = None,
        counters: Mapping[str, int] | None = None,
    ) -> None:
        """Log one entry, as `frame_core.EntryLogger` says.

        Raises:
            ValueError: ``name`` is one of the names that every line has.
        """
        match log_entry.data_type:
            case EntryType.SCALAR | EntryType.SCALARS:
                values = name_numbers(name, log_entry)
            case EntryType.IMAGE | EntryType.PLOT:
                values = {name: self._save_picture(name, log_entry, global_step)}
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
        cost = {} if log_entry.seconds is None else {SECONDS: log_entry.seconds}
        self._write(values, global_step, {**prefix_counters(counters), **cost})
        self._remember(name_numbers(name, log_entry), global_step)

    def get_position(self) -> dict[str, int]:
        """Tell how far the log has come: the length of ``metrics.jsonl``, in bytes."""
        path = self._directory / "metrics.jsonl"
        if not path.exists():
            return {"bytes": 0}
        with path.open("rb") as file:
            os.fsync(file.fileno())
        return {"bytes": path.stat().st_size}

    def cut_back(self, position: Mapping[str, int]) -> None:
        """Take back the lines after a position, and the pictures that they speak of."""
        path = self._directory / "metrics.jsonl"
        if path.exists():
            os.truncate(path, min(path.stat().st_size, position["bytes"]))
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
        kept = {value for line in lines for value in line.values() if isinstance(value, str)}
        for picture in self._directory.glob("images/*.png"):
            if picture.relative_to(self._directory).as_posix() not in kept:
                picture.unlink()
        for line in lines:
            step = line.pop(GLOBAL_STEP)
            numbers = {name: value for name, value in line.items() if _is_value(name, value)}
            self._last_values.update({name: (float(value), step) for name, value in numbers.items()})

    @override
    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        values = {name: LogEntry(SCALAR_ENTRY, value).value for name, value in metrics.items()}
        self._write(values, step, {})
        self._remember(values, step)

    @override
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the composed config stands in the run directory, beside what is written here."""

    def _remember(self, values: Mapping[str, float], global_step: int | None) -> None:
        self._last_values.update({name: (value, global_step) for name, value in values.items()})

    def _write(self, values: Mapping[str, Any], global_step: int | None, others: Mapping[str, float]) -> None:
        line = {GLOBAL_STEP: global_step, "time": time.time(), **others}
        for name in values:
            if name in line or name == SECONDS:
                raise ValueError(f"`metrics.jsonl` has {name!r} on its lines: log the value under another name.")
        text = json.dumps(_as_strict_json({**line, **values}), allow_nan=False)
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / "metrics.jsonl"
        n_bytes = path.stat().st_size if path.exists() else 0
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(text + "\n")
        except OSError:
            if path.exists():
                os.truncate(path, n_bytes)  # half a line would spoil the file
            raise

    def _save_picture(self, name: str, log_entry: LogEntry, global_step: int | None) -> str:
        """Save a picture whole or not at all, under a name that was free, and give its relative path."""
        folder = self._directory / "images"
        folder.mkdir(parents=True, exist_ok=True)
        path = next(path for path in _suggest_paths(folder, name, global_step) if not path.exists())
        temporary = path.with_name(f".{path.name}.tmp")
        make_picture(log_entry).save(temporary, format="PNG")
        temporary.replace(path)
        return path.relative_to(self._directory).as_posix()


def _suggest_paths(folder: Path, name: str, global_step: int | None) -> Iterator[Path]:
    safe_name = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[:100]  # a file name has at most 255 bytes
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
    """Say whether an entry of a line is a number that was logged."""
    is_number = isinstance(value, int | float) or value in ("NaN", "Infinity", "-Infinity")
    return is_number and name not in ("time", SECONDS) and not name.startswith("counters/")
