"""What differs between two runs."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from frame_train.runs.location import locate
from frame_train.runs.record import Record, read_record
from frame_train.runs.stored import read_config
from frame_train.terminal import print_differences

_CODE = ("git", "versions", "uv_lock_sha256")
_ENVIRONMENT = ("python", "platform", "device")
_NOT_TOLD = ("run.directory",)  # no two runs share one

Rows = list[tuple[str, ...]]
"""The key, what it is in one run, what it is in the other; of a number, how much greater."""


def tell_difference(first: str, second: str) -> None:
    """Print what differs between two runs: in config, code version, environment and final metrics.

    Raises:
        CompositionError: There is no such run, or its config can't be read.
    """
    directories = [locate(where, "last", needs_checkpoint=False)[0] for where in (first, second)]
    for directory in directories:
        read_config(directory)  # a page leaves out what can't be read, and here it would seem to differ
    print_differences(directories, find_differences(*directories))


def find_differences(first: Path, second: Path) -> dict[str, Rows]:
    """Find what differs between two run directories, under the title of what it is."""
    a, b = read_record(first), read_record(second)
    return {
        "config": _compare(_flatten(a.config), _flatten(b.config)),
        "code version": _compare(_choose(a, _CODE), _choose(b, _CODE)),
        "environment": _compare(_choose(a, _ENVIRONMENT), _choose(b, _ENVIRONMENT)),
        "final metrics": _compare(_read_last(a), _read_last(b)),
    }


def _choose(record: Record, names: tuple[str, ...]) -> dict[str, Any]:
    return _flatten({name: record.description.get(name) for name in names})


def _read_last(record: Record) -> dict[str, Any]:
    return {name: points[-1].value for name, points in record.metrics.items()}


def _flatten(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in _iterate_leaves(content, "") if key not in _NOT_TOLD}


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
        if repr(values[0]) != repr(values[1]):  # of two NaN too
            told = ["absent" if value is missing else _tell(value) for value in values]
            numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
            difference = f"{numbers[1] - numbers[0]:+.5g}" if len(numbers) == 2 else ""
            rows.append((key, *told, difference))
    return rows


def _tell(value: Any) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)
