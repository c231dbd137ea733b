"""Differences between runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf

from frame_loggers.metrics_file import as_number
from frame_train.comparison.summary import flatten
from frame_train.runs.location import locate
from frame_train.runs.metrics import read_last
from frame_train.runs.record import Record, read_record
from frame_train.runs.stored import read_config

_CODE = ("git", "versions", "uv_lock_sha256")
_ENVIRONMENT = ("python", "platform", "device")
_IGNORED = ("run.directory",)  # different for any two runs

Rows = list[tuple[str, ...]]
"""For each key: the key, the value of each run, and for two runs the difference of two numbers."""


def compare_runs(runs: Sequence[str]) -> tuple[list[Path], dict[str, Rows]]:
    """Compare the config, code version, environment and final metrics of runs.

    Returns:
        The run directories, and the differences by title.

    Raises:
        CompositionError: A run does not exist, or its config can't be read.
    """
    directories = [locate(where, "last", needs_checkpoint=False)[0] for where in runs]
    configs = [cast(dict[str, Any], OmegaConf.to_container(read_config(directory))) for directory in directories]
    records = list(map(read_record, directories))
    return directories, {
        "config": _compare(list(map(_flatten, configs))),
        "code version": _compare([_choose(record, _CODE) for record in records]),
        "environment": _compare([_choose(record, _ENVIRONMENT) for record in records]),
        "final metrics": _compare([read_last(record.metrics) for record in records]),
    }


def _choose(record: Record, names: tuple[str, ...]) -> dict[str, Any]:
    return _flatten({name: record.description.get(name) for name in names})


def _flatten(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in flatten(content) if key not in _IGNORED}


def _compare(runs: Sequence[Mapping[str, Any]]) -> Rows:
    missing = object()
    rows: Rows = []
    for key in sorted({key for run in runs for key in run}):
        values = [run.get(key, missing) for run in runs]
        if len(set(map(repr, values))) > 1:  # `nan` equals `nan` here
            texts = ["absent" if value is missing else _format(value) for value in values]
            rows.append((key, *texts, *([_subtract(*values)] if len(values) == 2 else [])))
    return rows


def _subtract(first: Any, second: Any) -> str:
    numbers = as_number(first), as_number(second)
    return "" if numbers[0] is None or numbers[1] is None else f"{numbers[1] - numbers[0]:+.5g}"


def _format(value: Any) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)
