"""Cache shared by the evaluations of one step."""

from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")

_results: ContextVar[dict[Hashable, Any] | None] = ContextVar("results", default=None)


@contextmanager
def sharing(results: dict[Hashable, Any]) -> Generator[None]:
    """Set the cache that `share` uses, for the duration of the context.

    Args:
        results: The cache: results by key. `share` adds to it. The caller must pass a new one when the weights
            have changed.
    """
    token = _results.set(results)
    try:
        yield
    finally:
        _results.reset(token)


def share(key: Hashable, compute: Callable[[], T]) -> T:
    """Return a result from the cache, or compute and cache it. Outside `sharing`, compute it every time.

    Args:
        key: What is computed, and everything that it depends on except the weights.
        compute: Computes the result. Call `share` before drawing any random number: every evaluation starts from
            the same seed, so that every one of them would compute the same result.
    """
    results = _results.get()
    if results is None:
        return compute()
    if key not in results:
        results[key] = compute()
    return results[key]
