"""Summary of a run for tables of many runs, read from its ``run.json``."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, cast

from frame_loggers.metrics_file import as_number
from frame_train.errors import CompositionError
from frame_train.runs.directory import is_claimed, read_description
from frame_train.runs.metrics import read_best, read_last
from frame_train.runs.record import parse_time, read_record

Status = Literal["complete", "running", "stopped", "killed", "damaged"]

_DEPTH = 3  # of a run directory below the root: project, name, time
_MARKS = {"config.yaml", "overrides.yaml", "run.json"}  # another program's folder can have one of them
_NOT_SETTINGS = ("run.", "device", "logging", "logger", "params.", "seed", "experiment", "hydra")


@dataclass(frozen=True)
class Summary:
    """Summary of a run.

    Args:
        directory: The run directory.
        project: Its ``run.project``.
        name: Its ``run.name``.
        status: ``complete``; ``running``; ``stopped`` before the end; ``killed``, which left no end in ``run.json``; or
            ``damaged``, without a readable ``run.json``.
        started: When it was started; None if unknown.
        seconds: Time from its start to its end; None if it has no end.
        settings: Its ``params``, its seed and its other overrides, by key.
        monitor: Full name of the metric that selects the best checkpoint; None if there is none.
        last: The last value of every metric.
        best: The value of every metric at the step with the best value of `monitor`.
    """

    directory: Path
    project: str
    name: str
    status: Status
    started: datetime | None = None
    seconds: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    monitor: str | None = None
    last: Mapping[str, float] = field(default_factory=dict[str, float])
    best: Mapping[str, float] = field(default_factory=dict[str, float])


def iterate_directories(root: Path) -> Iterator[Path]:
    """Yield the run directories in the root of all runs, or in the folder of a project or a name.

    Links are skipped, and a folder that is not a run directory is only searched, even if it has a ``run.json``.
    """
    folders = [root]
    for _ in range(_DEPTH + 1):
        below: list[Path] = []
        for folder in folders:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
            if _MARKS.issubset(entry.name for entry in found):
                yield folder
            else:
                below += [Path(entry) for entry in found if entry.is_dir(follow_symlinks=False)]
        folders = below


def read_summary(directory: Path) -> Summary:
    """Read the summary of a run directory.

    A run of an older version, or one that has no end, has no metrics in ``run.json``. They are read from its
    ``metrics.jsonl``.
    """
    try:
        description = read_description(directory)
    except (CompositionError, OSError):
        return Summary(directory, directory.parent.parent.name, directory.parent.name, "damaged")
    if "last" in description:
        monitor = _as_mapping(description.get("monitor"))
        last, best = (_as_metrics(description.get(key)) for key in ("last", "best"))
    else:
        record = read_record(directory)
        description = {**{key: record.config.get(key) for key in ("params", "monitor", "seed")}, **description}
        monitor = _as_mapping(description.get("monitor"))
        last = read_last(record.metrics)
        best = read_best(record.metrics, str(monitor.get("metric")), str(monitor.get("mode")))
    metric = monitor.get("metric")
    started, ended = (parse_time(description.get(key)) for key in ("started", "ended"))
    return Summary(
        directory,
        str(description.get("project", directory.parent.parent.name)),
        str(description.get("name", directory.parent.name)),
        _find_status(directory, description),
        started,
        (ended - started).total_seconds() if started and ended else None,
        dict(_iterate_settings(description)),
        None if metric is None else str(metric),
        last,
        best,
    )


def flatten(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of each leaf of a nested mapping."""
    for name, value in content.items():
        if isinstance(value, dict) and value:
            yield from flatten(cast(dict[str, Any], value), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _iterate_settings(description: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from flatten(_as_mapping(description.get("params")), "params.")
    yield "seed", description.get("seed")
    command = description.get("command")
    for override in map(str, command[1:] if isinstance(command, list) else []):
        key, equals, value = override.lstrip("+~").partition("=")
        if equals and not key.startswith(_NOT_SETTINGS):
            yield key, value


def _find_status(directory: Path, description: Mapping[str, Any]) -> Status:
    if "ended" not in description:
        return "running" if is_claimed(directory) else "killed"
    return "complete" if description.get("complete") is True else "stopped"


def _as_mapping(value: Any) -> Mapping[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _as_metrics(value: Any) -> dict[str, float]:
    numbers = _as_mapping(value).items()
    return {name: number for name, value in numbers if (number := as_number(value)) is not None}
