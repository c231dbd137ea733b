"""The format of ``metrics.jsonl`` and of the names of image files, without torch, Lightning or pandas."""

import json
import logging
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, Self

from frame_loggers.files import open_regular, replacing
from frame_loggers.names import COUNTERS, GLOBAL_STEP, prefix_counters

_log = logging.getLogger("frame_loggers")

_TIME, _SECONDS, _EVALUATED = "time", "seconds", "evaluated"
_NOT_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})


class Histogram(NamedTuple):
    """Counts between neighboring edges, and the number of values that are not finite."""

    edges: list[float]
    counts: list[float]
    non_finite: int


@dataclass(frozen=True)
class MetricsLine:
    """A line of ``metrics.jsonl``: the values of one entry.

    JSON has no NaN and no infinity. They are written as the strings ``"NaN"``, ``"Infinity"`` and
    ``"-Infinity"``, and these strings are read as numbers.

    Args:
        values: The values by full name. A value is a number, a text, the path of an image file relative to the
            directory, a `Histogram`, or a table as a dict of columns.
        global_step: The global step, or None if it is unknown.
        time: Seconds since the epoch.
        seconds: Duration of the evaluation that made the values.
        counters: Counters by name.
        evaluated: Whether the line was added after the training, so that a resumed training keeps it.

    >>> line = MetricsLine({"loss": math.inf}, global_step=3, counters={"iteration": 7})
    >>> line.encode()
    '{"trainer/global_step": 3, "counters/iteration": 7, "loss": "Infinity"}\\n'
    >>> MetricsLine.decode(line.encode()) == line
    True
    """

    values: Mapping[str, Any]
    global_step: int | None = None
    time: float | None = None
    seconds: float | None = None
    counters: Mapping[str, int] = field(default_factory=dict[str, int])
    evaluated: bool = False

    def flatten(self) -> dict[str, Any]:
        """Return everything on the line by its key.

        Raises:
            ValueError: A value has the name of another key.
        """
        keys = {
            GLOBAL_STEP: self.global_step,
            _TIME: self.time,
            **prefix_counters(self.counters),
            _SECONDS: self.seconds,
            _EVALUATED: self.evaluated or None,
        }
        for name in self.values:
            if name in keys:
                raise ValueError(f"{name!r} is a reserved key of `metrics.jsonl`: log the value under another name.")
        histograms = {name: value._asdict() for name, value in self.values.items() if isinstance(value, Histogram)}
        known = {key: value for key, value in keys.items() if value is not None or key == GLOBAL_STEP}
        return {**known, **self.values, **histograms}

    def encode(self) -> str:
        """Return the line as strict JSON, with its line break.

        Raises:
            ValueError: A value has the name of another key.
        """
        return json.dumps(_map_leaves(_replace_non_finite, self.flatten()), allow_nan=False) + "\n"

    @classmethod
    def decode(cls, text: str) -> Self | None:
        """Read a line; return None if it is not a JSON object, for example because it is truncated."""
        try:
            entries = _map_leaves(_restore_non_finite, json.loads(text))
        except (ValueError, RecursionError):
            return None
        if not isinstance(entries, dict):
            return None
        step, time, seconds = (_as_finite(entries.pop(key, None)) for key in (GLOBAL_STEP, _TIME, _SECONDS))
        evaluated = entries.pop(_EVALUATED, None) is True
        names = [name for name in entries if name.startswith(COUNTERS) and isinstance(entries[name], int)]
        counters = {name.removeprefix(COUNTERS): entries.pop(name) for name in names}
        values = {name: _as_histogram(value) or value for name, value in entries.items()}
        return cls(values, None if step is None else int(step), time, seconds, counters, evaluated)


class MetricsFile:
    """The file ``metrics.jsonl`` of a directory.

    Args:
        directory: The directory, which is created with the first line. It is not created again if it is removed.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "metrics.jsonl"
        self._is_made = directory.exists()

    def make_directory(self) -> None:
        """Make the directory, unless it has existed before."""
        if not self._is_made:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._is_made = True

    def append(self, line: MetricsLine) -> None:
        """Write a line immediately. If it cannot be written completely, the file is unchanged.

        Raises:
            ValueError: A value has the name of another key.
            OSError: The line cannot be written.
        """
        text = line.encode()
        self.make_directory()
        n_bytes = self._path.stat().st_size if self._path.exists() else 0
        try:
            with open(self._path, "a", encoding="utf-8", opener=open_regular) as file:
                file.write(text)
        except OSError:
            self.truncate(n_bytes)
            raise

    def flush(self) -> int:
        """Flush the file to the disk, and return its length in bytes."""
        if not self._path.exists():
            return 0
        with open(self._path, "rb", opener=open_regular) as file:
            os.fsync(file.fileno())
        return self._path.stat().st_size

    def truncate(self, n_bytes: int) -> None:
        """Remove everything after the first bytes."""
        if self._path.exists():
            with open(self._path, "r+b", opener=open_regular) as file:
                file.truncate(min(self._path.stat().st_size, n_bytes))

    def cut_back(self, n_bytes: int) -> None:
        """Remove the lines after the first bytes, except those that were added after the training.

        A last line that is not complete is removed, too.
        """
        if self._path.exists():
            with open(self._path, "rb", opener=open_regular) as file:
                head, lines = file.read(n_bytes), file.readlines()
            if len(head) < n_bytes:
                _log.warning("%s: entries of the time before the checkpoint are missing.", self._path)
            head = head[: head.rfind(b"\n") + 1]
            decoded = [(line, MetricsLine.decode(line.decode(errors="replace"))) for line in lines]
            kept = [line for line, content in decoded if content is not None and content.evaluated]
            with replacing(self._path) as temporary:
                temporary.write_bytes(b"".join([head, *kept]))

    def decode_lines(self) -> Iterator[MetricsLine | None]:
        """Read line by line; yield None for a line that is not a JSON object, nothing if there is no file."""
        try:
            with open(self._path, encoding="utf-8", errors="replace", opener=open_regular) as file:
                yield from map(MetricsLine.decode, filter(str.strip, file))
        except OSError:
            return

    def read(self) -> list[MetricsLine]:
        """Return all lines that can be read."""
        return [line for line in self.decode_lines() if line is not None]


def as_number(value: Any) -> float | None:
    """Return a number as a float, and None for any other value.

    >>> as_number(10**400), as_number("1"), as_number(True)
    (inf, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def suggest_image_paths(name: str, global_step: int | None) -> Iterator[str]:
    """Yield candidates for the relative path of an image, for the first unused one to be taken.

    >>> from itertools import islice
    >>> list(islice(suggest_image_paths("Images/Samples", 500), 2))
    ['images/Images_Samples-00000500.png', 'images/Images_Samples-00000500-1.png']
    """
    safe_name = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[:100]  # a file name has at most 255 bytes
    stem = safe_name if global_step is None else f"{safe_name}-{global_step:08d}"
    yield f"images/{stem}.png"
    for index in count(1):
        yield f"images/{stem}-{index}.png"


def is_image_path(value: Any) -> bool:
    """Return whether a value is the relative path of an image file."""
    return isinstance(value, str) and re.fullmatch(r"images/[^/\\]*\.png", value) is not None


def read_image_name(path: Path) -> tuple[str, int]:
    """Read the name and the step of an image from its file name. The step is 0 if the file name has none.

    >>> read_image_name(Path("images/Images_Samples-00000500-1.png"))
    ('Images_Samples', 500)
    """
    match = re.fullmatch(r"(.*)-(\d{8,15})(?:-\d+)?", path.stem)
    return (match[1], int(match[2])) if match else (path.stem, 0)


def _map_leaves(change: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _map_leaves(change, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_map_leaves(change, item) for item in value]
    return change(value)


def _replace_non_finite(value: Any) -> Any:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _restore_non_finite(value: Any) -> Any:
    return float(value) if isinstance(value, str) and value in _NOT_FINITE else value


def _as_finite(value: Any) -> float | None:
    number = as_number(value)
    return number if number is not None and math.isfinite(number) else None


def _as_histogram(value: Any) -> Histogram | None:
    match value:
        case {"edges": [*edges], "counts": [*counts], "non_finite": int(non_finite)}:
            numbers = [_as_finite(number) for number in (*edges, *counts)]
            finite = [number for number in numbers if number is not None]
            rising = finite[: len(edges)] == sorted(finite[: len(edges)])
            if len(edges) == len(counts) + 1 > 1 and len(finite) == len(numbers) and rising and min(counts) >= 0:
                return Histogram(edges, counts, non_finite)
        case _:
            pass
    return None
