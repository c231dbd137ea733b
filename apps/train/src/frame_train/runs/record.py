"""What a run directory holds, read with patience: what is missing or cut off is left out."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

if TYPE_CHECKING:
    import pandas as pd

_STEP = "trainer/global_step"
_COUNTER = "counters/"
_NOT_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})


class Point(NamedTuple):
    """A number that was logged, NaN or infinite where it was so, and the global step."""

    step: int
    value: float


class Picture(NamedTuple):
    """Where a picture is, and the global step it was logged at."""

    step: int
    path: Path


class Histogram(NamedTuple):
    """Counts between every two edges, and how many values were not finite."""

    edges: list[float]
    counts: list[float]
    n_non_finite: int


class Latest(NamedTuple):
    """The latest value under a name, its step, and how many values came in all."""

    step: int
    value: Any
    n_values: int


@dataclass
class Record:
    """Everything that a page about a run shows.

    An entry without a global step stands at the step of the entry before it. A run that was evaluated
    again has entries of an earlier step behind those of a later one: here they stand in order.
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
    """Lines of ``metrics.jsonl`` that are no JSON objects, such as one that a crash cut off."""
    description: dict[str, Any] = field(default_factory=dict[str, Any])
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    config_text: str | None = None
    overrides: list[str] = field(default_factory=list[str])
    _step: int = 0

    def add(self, line: Mapping[str, Any]) -> None:
        """Take in a line of ``metrics.jsonl``."""
        step = _as_number(line.get(_STEP))
        if step is not None and math.isfinite(step):
            self._step = int(step)
        is_latest = self._step >= self.last_step
        self.last_step = max(self._step, self.last_step)
        time = _as_number(line.get("time"))
        if time is not None and math.isfinite(time):
            self.first_time = time if self.first_time is None else self.first_time
            self.last_time = time
        for name, value in line.items():
            if name.startswith(_COUNTER) and isinstance(value, int):
                if is_latest:
                    self.counters[name.removeprefix(_COUNTER)] = value
            elif name not in (_STEP, "time", "seconds"):
                self._add_value(name, value)

    def _add_value(self, name: str, value: Any) -> None:
        number = _as_number(value)
        if number is not None:
            self.metrics.setdefault(name, []).append(Point(self._step, number))
        elif isinstance(value, str) and re.fullmatch(r"images/[^/\\]+\.png", value):
            self.pictures.setdefault(name, []).append(Picture(self._step, self.directory / value))
        else:
            before = self.others.get(name, Latest(self._step, None, 0))
            latest = Latest(self._step, _as_entry(value), 0) if self._step >= before.step else before
            self.others[name] = latest._replace(n_values=before.n_values + 1)


def read_record(directory: Path) -> Record:
    """Read a run directory; nothing has to be there."""
    record = Record(directory)
    for line in read_lines(directory / "metrics.jsonl"):
        if line is None:
            record.n_unreadable += 1
        else:
            record.add(line)
    _find_pictures(record)
    for values in (*record.metrics.values(), *record.pictures.values()):
        values.sort(key=lambda value: value.step)
    description = _parse(_read_text(directory / "run.json") or "")
    record.description = description if isinstance(description, dict) else {}
    record.config_text = _read_text(directory / "config.yaml")
    config = _read_yaml(directory / "config.yaml")
    record.config = config if isinstance(config, dict) else {}
    overrides = _read_yaml(directory / "overrides.yaml")
    record.overrides = [str(override) for override in overrides] if isinstance(overrides, list) else []
    return record


def _find_pictures(record: Record) -> None:
    """Add the pictures that no line names, under what their file names tell: ``<name>-<step>.png``."""
    known = {picture.path for pictures in record.pictures.values() for picture in pictures}
    for path in sorted((record.directory / "images").glob("*.png")):
        if path not in known and not path.name.startswith("."):
            match = re.fullmatch(r"(.+)-(\d{8,15})(?:-\d+)?", path.stem)
            name, step = match.groups() if match else (path.stem, "0")
            record.pictures.setdefault(name, []).append(Picture(int(step), path))


def read_lines(path: Path) -> Iterator[dict[str, Any] | None]:
    """Read a file of JSON objects, one on a line; of a line that is none, such as one that was cut off, give None."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for text in filter(str.strip, file):
                line = _parse(text)
                yield line if isinstance(line, dict) else None
    except OSError:
        return


def read_metrics(directory: Path) -> "pd.DataFrame":
    """Read ``metrics.jsonl``: a row for each line, a column for each name; a line that was cut off is left out."""
    import pandas as pd

    lines = [line for line in read_lines(directory / "metrics.jsonl") if line is not None]
    return pd.DataFrame([{name: _as_float(value) for name, value in line.items()} for line in lines])


def _as_float(value: Any) -> Any:
    return float(value) if isinstance(value, str) and value in _NOT_FINITE else value


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _read_yaml(path: Path) -> Any:
    """Read values as they are written: an interpolation may look up what is not for others to see."""
    try:
        return OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except (OSError, ValueError, YAMLError, OmegaConfBaseException):
        return None


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _as_number(value: Any) -> float | None:
    """Give a number as `FileLogger` writes it, or None for what is none."""
    if isinstance(value, str):
        return float(value) if value in _NOT_FINITE else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _as_entry(value: Any) -> Histogram | dict[str, list[Any]] | str:
    if isinstance(value, dict) and value and all(isinstance(column, list) for column in value.values()):
        return value
    return _as_histogram(value) or (value if isinstance(value, str) else json.dumps(value, indent=2))


def _as_histogram(value: Any) -> Histogram | None:
    match value:
        case {"edges": [*edges], "counts": [*counts], "non_finite": int(n_non_finite)}:
            numbers = [_as_number(number) for number in (*edges, *counts)]
            finite = [number for number in numbers if number is not None and math.isfinite(number)]
            histogram = Histogram(finite[: len(edges)], finite[len(edges) :], n_non_finite)
            ordered = histogram.edges == sorted(histogram.edges) and min(histogram.counts, default=0) >= 0
            if len(edges) == len(counts) + 1 > 1 and len(finite) == len(numbers) and ordered:
                return histogram
        case _:
            pass
    return None
