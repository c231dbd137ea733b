"""Optimization as the evaluations of one step see it, with a cache that they share."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from frame_core.data import SizedDataset
from frame_core.models import Model
from frame_core.optimization import Optimization

T = TypeVar("T")


@dataclass(frozen=True)
class EvaluationView:
    """An `Optimization` for the evaluations of one step, which share results in a cache.

    Args:
        model: The model.
        data: The splits of the data.
        counters: Counters by name.
        cache: Results by what `share` computes. The caller must pass a new cache when the weights have changed.
    """

    model: Model
    data: Mapping[str, SizedDataset]
    counters: Mapping[str, int]
    cache: dict[Hashable, Any] = field(default_factory=dict[Hashable, Any])


def share(optimization: Optimization, key: Hashable, compute: Callable[[], T]) -> T:
    """Return a result from the cache of an `EvaluationView`, or compute and cache it.

    For any other optimization, compute the result every time.

    Args:
        optimization: The optimization that is evaluated.
        key: What is computed, and everything that it depends on except the model.
        compute: Computes the result. Call `share` before drawing any random number: every evaluation starts from
            the same seed, so that every one of them would compute the same result.
    """
    if not isinstance(optimization, EvaluationView):
        return compute()
    key = (optimization.model, key)
    if key not in optimization.cache:
        optimization.cache[key] = compute()
    return optimization.cache[key]
