"""Differences between two runs."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf

from frame_train.runs.location import locate
from frame_train.runs.record import Record, read_record
from frame_train.runs.stored import read_config

_CODE = ("git", "versions", "uv_lock_sha256")
_ENVIRONMENT = ("python", "platform", "device")
_IGNORED = ("run.directory",)  # different for any two runs

Rows = list[tuple[str, ...]]
"""For each key: the key, both values, and the difference of two numbers."""


def compare_runs(first: str, second: str) -> tuple[list[Path], dict[str, Rows]]:
    """Compare the config, code version, environment and final metrics of two runs.

    Returns:
        The run directories, and the differences by title.

    Raises:
        CompositionError: A run does not exist, or its config can't be read.
    """
    directories = [locate(where, "last", needs_checkpoint=False)[0] for where in (first, second)]
    configs = [cast(dict[str, Any], OmegaConf.to_container(read_config(directory))) for directory in directories]
    a, b = map(read_record, directories)
    return directories, {
        "config": _compare(*map(_flatten, configs)),
        "code version": _compare(_choose(a, _CODE), _choose(b, _CODE)),
        "environment": _compare(_choose(a, _ENVIRONMENT), _choose(b, _ENVIRONMENT)),
        "final metrics": _compare(_read_last(a), _read_last(b)),
    }


def _choose(record: Record, names: tuple[str, ...]) -> dict[str, Any]:
    return _flatten({name: record.description.get(name) for name in names})


def _read_last(record: Record) -> dict[str, Any]:
    return {name: points[-1].value for name, points in record.metrics.items()}


def _flatten(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in _iterate_leaves(content, "") if key not in _IGNORED}


def _iterate_leaves(content: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, dict) and value:
            yield from _iterate_leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> Rows:
    missing = object()
    rows: Rows = []
    for key in sorted({*first, *second}):
        values = [side.get(key, missing) for side in (first, second)]
        if repr(values[0]) != repr(values[1]):  # `nan` equals `nan` here
            texts = ["absent" if value is missing else _format(value) for value in values]
            numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
            difference = f"{numbers[1] - numbers[0]:+.5g}" if len(numbers) == 2 else ""
            rows.append((key, *texts, difference))
    return rows


def _format(value: Any) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)
