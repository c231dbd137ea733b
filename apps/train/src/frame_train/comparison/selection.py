"""Selection of runs by their settings, and their order."""

import math
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from frame_train.comparison.summary import Summary
from frame_train.errors import CompositionError, suggest

_FIELDS = ("project", "name", "status", "started", "seconds")


def select(runs: Sequence[Summary], filters: Sequence[str]) -> list[Summary]:
    """Return the runs that pass every filter.

    Args:
        runs: The runs.
        filters: ``key=value`` each: a project, name, status or setting. The value may have wildcards (``MNIST*``).
            Numbers are compared as numbers.

    Raises:
        CompositionError: A filter is not ``key=value``, or no run has its key.
    """
    for word in filters:
        key, equals, value = word.partition("=")
        if not equals:
            raise CompositionError(f"A filter has the form `key=value`, such as `status=complete`, got `{word}`.")
        known = {*_FIELDS[:3], *(name for run in runs for name in run.settings)}
        if runs and key not in known:
            raise CompositionError(f"No run has the setting `{key}`.{suggest(key, sorted(known))}")
        runs = [run for run in runs if _is_equal(_get(run, key), value)]
    return list(runs)


def sort(runs: Sequence[Summary], key: str, is_descending: bool) -> list[Summary]:
    """Sort runs by a field, a setting, or a metric at the best step. Runs without it come first.

    Raises:
        CompositionError: No run has the key.
    """
    known = {*_FIELDS, *(name for run in runs for name in (*run.settings, *run.last, *run.best))}
    if key not in known:
        raise CompositionError(f"`--sort`: no run has `{key}`.{suggest(key, sorted(known))}")
    present = [run for run in runs if _is_present(_get(run, key))]
    absent = [run for run in runs if not _is_present(_get(run, key))]
    return absent + sorted(present, key=_order_by(key), reverse=is_descending)


def _order_by(key: str) -> Callable[[Summary], tuple[bool, Any]]:
    def order(run: Summary) -> tuple[bool, Any]:
        value = _get(run, key)
        if hasattr(value, "timestamp"):
            value = value.timestamp()
        number = _as_number(value)
        return (number is None, str(value) if number is None else number)

    return order


def _get(run: Summary, key: str) -> Any:
    if key in _FIELDS:
        return getattr(run, key)
    for values in (run.settings, run.best, run.last):
        if key in values:
            return values[key]
    return None


def _is_present(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _is_equal(value: Any, wanted: str) -> bool:
    number, wanted_number = _as_number(value), _as_number(wanted)
    if number is not None and wanted_number is not None:
        return number == wanted_number
    names = {None: "null", True: "true", False: "false"}
    text = names[value] if value is None or isinstance(value, bool) else str(value)
    return fnmatchcase(text, wanted)


def _as_number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
