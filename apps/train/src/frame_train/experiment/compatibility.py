"""Checks that the parts of an experiment fit one another."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from pytorch_lightning import Callback

from frame_train.callbacks import EvaluationCallback
from frame_train.errors import CompositionError, suggest
from frame_train.experiment.parts import Parts

_RESERVED_NAMES = ("time", "seconds", "trainer/global_step", "Train")


def find_mismatches(parts: Parts) -> Iterator[CompositionError]:
    """Find parts that do not fit the optimization, and names that two evaluations share."""
    if parts.module is not None:
        yield from run_check("optimization", parts.module)
    method = "check_evaluator" if parts.module is None else "check"  # without a module nothing is counted
    for key, callback in parts.callbacks.items() if parts.subject is not None else ():
        yield from run_check(key, callback, parts.subject, method=method)
    yield from _find_names_used_twice(parts.callbacks)


def find_unknown_metrics(parts: Parts) -> Iterator[CompositionError]:
    """Find metrics that callbacks, Lightning's own among them, monitor and nothing logs."""
    for key, callback in parts.callbacks.items():
        if getattr(callback, "monitor", None) is not None:
            yield from find_unlogged(f"{key}.monitor", cast(Any, callback).monitor, parts.logged)


def find_unlogged(key: str, metric: str, names: Iterable[str]) -> Iterator[CompositionError]:
    """Find whether nothing logs a metric, neither under one of the names nor below it."""
    metric = str(metric)
    if not any(metric == name or metric.startswith(f"{name}/") for name in names):
        message = f"`{key}`: nothing logs {metric!r}; what is logged: {', '.join(map(repr, names))}."
        yield CompositionError(message + suggest(metric, names), key)


def run_check(key: str, component: Any, *arguments: Any, method: str = "check") -> Iterator[CompositionError]:
    """Call a check that a component may have, and find its mistake."""
    check = getattr(component, method, None)
    try:
        if check is not None:
            check(*arguments)
    except (TypeError, ValueError) as error:
        yield CompositionError(f"`{key}`: {error}", key)


def _find_names_used_twice(callbacks: Mapping[str, Callback]) -> Iterator[CompositionError]:
    """Find evaluations with the name of another one, or of the training quantities."""
    keys_by_name: dict[str, str] = {}
    for key, callback in callbacks.items():
        if isinstance(callback, EvaluationCallback):
            other = keys_by_name.setdefault(callback.name, key)
            if other != key:
                message = f"`{key}.name`: {callback.name!r} is the name of `{other}` too."
                yield CompositionError(message, f"{key}.name")
            elif callback.name in _RESERVED_NAMES:
                message = f"`{key}.name`: {callback.name!r} is a field of every entry; choose another name."
                yield CompositionError(message, f"{key}.name")
