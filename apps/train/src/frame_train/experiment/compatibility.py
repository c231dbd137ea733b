"""Checks that the parts of an experiment fit one another."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pytorch_lightning import Callback

from frame_core import Optimization
from frame_train.callbacks import CumulativeLogCallback, EvaluationCallback
from frame_train.errors import CompositionError, suggest
from frame_train.experiment.parts import Parts

_RESERVED_NAMES = ("time", "seconds", "trainer/global_step", "Train")


def find_mismatches(parts: Parts) -> list[CompositionError]:
    """Find what would fail in training: a name used twice, a unit, a capability, a split, a metric.

    Args:
        parts: What was built.
    """
    problems: list[CompositionError] = []
    if parts.optimization is not None:
        problems += run_check("optimization", parts.optimization)
        for key, callback in parts.callbacks.items():
            problems += run_check(key, callback, parts.optimization)
    return [
        *problems,
        *_find_names_used_twice(parts.callbacks),
        *find_unknown_metrics(parts.callbacks, list_logged(parts.callbacks)),
    ]


def find_misfits(callbacks: Mapping[str, Callback], optimization: Optimization) -> list[CompositionError]:
    """Find the evaluations that ask for what a model or its data do not have, whatever the procedure counts."""
    return [
        problem
        for key, callback in callbacks.items()
        for problem in run_check(key, callback, optimization, method="check_evaluator")
    ]


def list_logged(callbacks: Mapping[str, Callback]) -> list[str]:
    """List the names under which callbacks log."""
    logging = [callback for callback in callbacks.values() if isinstance(callback, EvaluationCallback)]
    cumulative = any(isinstance(callback, CumulativeLogCallback) for callback in callbacks.values())
    return [*(callback.name for callback in logging), *(["Train"] if cumulative else [])]


def find_unlogged(key: str, metric: str, names: Sequence[str]) -> list[CompositionError]:
    """Find whether a metric is one that nothing logs: no number under one of the names, nor below it."""
    metric = str(metric)
    if any(metric == name or metric.startswith(f"{name}/") for name in names):
        return []
    message = f"`{key}`: nothing logs {metric!r}; what is logged: {', '.join(map(repr, names))}."
    return [CompositionError(message + suggest(metric, names), key)]


def find_unknown_metrics(callbacks: Mapping[str, Callback], names: Sequence[str]) -> list[CompositionError]:
    """Find the metrics that callbacks, Lightning's own too, monitor and nothing logs.

    Args:
        callbacks: The callbacks by their keys.
        names: The names under which something is logged.
    """
    return [
        problem
        for key, callback in callbacks.items()
        if getattr(callback, "monitor", None) is not None
        for problem in find_unlogged(f"{key}.monitor", cast(Any, callback).monitor, names)
    ]


def run_check(key: str, component: Any, *arguments: Any, method: str = "check") -> list[CompositionError]:
    """Let a component that can check itself do so."""
    check = getattr(component, method, None)
    try:
        if check is not None:
            check(*arguments)
    except (TypeError, ValueError) as error:
        return [CompositionError(f"`{key}`: {error}", key)]
    return []


def _find_names_used_twice(callbacks: Mapping[str, Callback]) -> list[CompositionError]:
    """Find evaluations under the name of another, or of the training quantities."""
    problems: list[CompositionError] = []
    keys_by_name: dict[str, str] = {}
    for key, callback in callbacks.items():
        if isinstance(callback, EvaluationCallback):
            other = keys_by_name.setdefault(callback.name, key)
            if other != key:
                message = f"`{key}.name`: {callback.name!r} is the name of `{other}` too."
                problems.append(CompositionError(message, f"{key}.name"))
            elif callback.name in _RESERVED_NAMES:
                message = f"`{key}.name`: {callback.name!r} is the name of what every entry has; choose another."
                problems.append(CompositionError(message, f"{key}.name"))
    return problems
