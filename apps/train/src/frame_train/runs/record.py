"""Contents of a run directory, without missing or unreadable files."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from omegaconf import OmegaConf

from frame_loggers.files import open_regular
from frame_loggers.metrics_file import (
    Histogram,
    MetricsFile,
    MetricsLine,
    as_number,
    is_image_path,
    read_image_name,
)
from frame_train.console import make_printable
from frame_train.runs.yaml_files import load_yaml

if TYPE_CHECKING:
    import pandas as pd


class Point(NamedTuple):
    """A logged number, which may be NaN or infinite, and its global step."""

    step: int
    value: float


class Picture(NamedTuple):
    """The file of a logged image, and its global step."""

    step: int
    path: Path


class Latest(NamedTuple):
    """The latest value of a name, its global step, and the number of values of that name."""

    step: int
    value: Any
    n_values: int


@dataclass
class Record:
    """Contents of a run directory that the report shows.

    An entry without a global step has the step of the entry before it. An evaluation of a complete run can append
    entries of earlier steps, so values are sorted by step.
    """

    directory: Path
    metrics: dict[str, list[Point]] = field(default_factory=dict[str, list[Point]])
    pictures: dict[str, list[Picture]] = field(default_factory=dict[str, list[Picture]])
    others: dict[str, Latest] = field(default_factory=dict[str, Latest])
    """Histograms (`Histogram`), tables (a dict of columns) and texts."""
    counters: dict[str, int] = field(default_factory=dict[str, int])
    last_step: int = 0
    first_time: float | None = None
    last_time: float | None = None
    n_unreadable: int = 0
    """Number of lines of ``metrics.jsonl`` that are not JSON objects, such as a line truncated by a crash."""
    description: dict[str, Any] = field(default_factory=dict[str, Any])
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    config_text: str | None = None
    overrides: list[str] = field(default_factory=list[str])
    _step: int = 0

    def add(self, line: MetricsLine) -> None:
        """Add a line of ``metrics.jsonl``."""
        self._step = self._step if line.global_step is None else line.global_step
        if self._step >= self.last_step:
            self.counters.update(line.counters)
            self.last_step = self._step
        if line.time is not None:
            self.first_time = line.time if self.first_time is None else self.first_time
            self.last_time = line.time
        for name, value in line.values.items():
            self._add_value(name, value)

    def _add_value(self, name: str, value: Any) -> None:
        number = as_number(value)
        if number is not None:
            self.metrics.setdefault(name, []).append(Point(self._step, number))
        elif is_image_path(value):
            self.pictures.setdefault(name, []).append(Picture(self._step, self.directory / value))
        else:
            before = self.others.get(name, Latest(self._step, None, 0))
            latest = Latest(self._step, _as_entry(value), 0) if self._step >= before.step else before
            self.others[name] = latest._replace(n_values=before.n_values + 1)


def read_log(directory: Path) -> Record:
    """Read ``metrics.jsonl`` of a run directory, and find its images."""
    record = Record(directory)
    for line in MetricsFile(directory).decode_lines():
        if line is None:
            record.n_unreadable += 1
        else:
            record.add(line)
    _find_pictures(record)
    for values in (*record.metrics.values(), *record.pictures.values()):
        values.sort(key=lambda value: value.step)
    return record


def read_record(directory: Path) -> Record:
    """Read a run directory, which may lack any of its files."""
    record = read_log(directory)
    description = _parse(_read_text(directory / "run.json") or "")
    record.description = description if isinstance(description, dict) else {}
    record.config_text = _read_text(directory / "config.yaml")
    config = _read_yaml(directory / "config.yaml")
    record.config = config if isinstance(config, dict) else {}
    overrides = _read_yaml(directory / "overrides.yaml")
    record.overrides = [str(override) for override in overrides] if isinstance(overrides, list) else []
    return record


def read_metrics(directory: Path) -> "pd.DataFrame":
    """Read ``metrics.jsonl`` as a table with a row for each readable line and a column for each name.

    Control characters of names are escaped, because a table is often printed.
    """
    import pandas as pd  # slow to import, and needed only here

    lines = [line.flatten() for line in MetricsFile(directory).read()]
    return pd.DataFrame([{make_printable(name): value for name, value in line.items()} for line in lines])


def parse_time(value: Any) -> datetime | None:
    """Read a time of ``run.json``, which is local if it has no zone; return None if it is damaged."""
    try:
        time = datetime.fromisoformat(value)
        return time if time.tzinfo else time.astimezone()
    except (TypeError, ValueError, OverflowError):
        return None


def _find_pictures(record: Record) -> None:
    """Add images that no line names. Their file names contain the name and the step."""
    known = {picture.path for pictures in record.pictures.values() for picture in pictures}
    for path in sorted((record.directory / "images").glob("*.png")):
        if path not in known and not path.name.startswith("."):
            name, step = read_image_name(path)
            record.pictures.setdefault(name, []).append(Picture(step, path))


def _read_text(path: Path) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace", opener=open_regular) as file:
            return file.read()
    except OSError:
        return None


def _read_yaml(path: Path) -> Any:
    """Read values without resolving interpolations, which could reveal a secret."""
    try:
        return OmegaConf.to_container(load_yaml(path), resolve=False)
    except (OSError, ValueError):
        return None


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _as_entry(value: Any) -> Histogram | dict[str, list[Any]] | str:
    if isinstance(value, Histogram | str):
        return value
    if isinstance(value, dict) and value and all(isinstance(column, list) for column in value.values()):
        return value
    return json.dumps(value, indent=2)
