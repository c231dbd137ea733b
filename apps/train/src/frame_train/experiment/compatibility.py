"""Checks that the parts of an experiment work together."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from pytorch_lightning import Callback
from torch import Tensor, nn

from frame_train.callbacks import EvaluationCallback
from frame_train.errors import CompositionError, describe_error, suggest
from frame_train.experiment.parts import Parts

_RESERVED_NAMES = ("time", "seconds", "trainer/global_step", "Train")


def find_mismatches(parts: Parts) -> Iterator[CompositionError]:
    """Find parts that do not work with the optimization, and names that two evaluations share."""
    if parts.module is not None:
        yield from run_check("optimization", parts.module)
    method = "check_evaluator" if parts.module is None else "check"  # an interval needs the counters of a module
    for key, callback in parts.callbacks.items() if parts.subject is not None else ():
        yield from run_check(key, callback, parts.subject, method=method)
    yield from _find_names_used_twice(parts.callbacks)


def find_unknown_metrics(parts: Parts) -> Iterator[CompositionError]:
    """Find metrics that a callback monitors, but nothing logs. Callbacks of Lightning are included."""
    for key, callback in parts.callbacks.items():
        if getattr(callback, "monitor", None) is not None:
            yield from find_unlogged(f"{key}.monitor", cast(Any, callback).monitor, parts.logged)


def find_unlogged(key: str, metric: str, names: Iterable[str]) -> Iterator[CompositionError]:
    """Yield a mistake if a metric is neither one of the logged names nor below one of them."""
    metric = str(metric)
    if not any(metric == name or metric.startswith(f"{name}/") for name in names):
        message = f"`{key}`: nothing logs {metric!r}, only {', '.join(map(repr, names))}."
        yield CompositionError(message + suggest(metric, names), key)


def run_check(key: str, component: Any, *arguments: Any, method: str = "check") -> Iterator[CompositionError]:
    """Call a check, if the component has it, and yield the mistake that it raises."""
    check = getattr(component, method, None)
    try:
        if check is not None:
            check(*arguments)
    except Exception as error:
        own_key = re.match(rf"`((?:{re.escape(key)}|optimization)(\.[\w.]+)?)`", str(error))
        message = describe_error(error)
        problem = CompositionError(message, own_key[1]) if own_key else CompositionError(f"`{key}`: {message}", key)
        problem.__cause__ = error
        yield problem


def find_unregistered(parts: Parts) -> Iterator[str]:
    """Yield a notice for each attribute of the model with tensors or modules that torch does not know."""
    if parts.subject is None:
        return
    model = parts.subject.model
    known = {id(part) for part in (*model.parameters(), *model.buffers(), *model.modules())}
    for prefix, module in model.named_modules(prefix="model"):
        for name, value in vars(module).items():
            values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
            unknown = [one for one in values if isinstance(one, Tensor | nn.Module) and id(one) not in known]
            if unknown:
                advice = "`nn.Parameter` or `register_buffer`" if isinstance(unknown[0], Tensor) else "`nn.ModuleList`"
                yield (
                    f"`{prefix}.{name}` is not registered in the model, so it is neither trained nor saved nor moved "
                    f"to a GPU. Use {advice}."
                )


def _find_names_used_twice(callbacks: Mapping[str, Callback]) -> Iterator[CompositionError]:
    """Find evaluations with the name of another one, or with a reserved name."""
    keys_by_name: dict[str, str] = {}
    for key, callback in callbacks.items():
        if isinstance(callback, EvaluationCallback):
            other = keys_by_name.setdefault(callback.name, key)
            if other != key:
                message = f"`{key}.name`: {callback.name!r} is also the name of `{other}`. Choose another name."
                yield CompositionError(message, f"{key}.name")
            elif callback.name in _RESERVED_NAMES:
                message = f"`{key}.name`: {callback.name!r} is reserved. Choose another name."
                yield CompositionError(message, f"{key}.name")
