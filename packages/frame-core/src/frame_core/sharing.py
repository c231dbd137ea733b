"""What evaluations compute for one another."""

from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")

_results: ContextVar[dict[Hashable, Any] | None] = ContextVar("results", default=None)


@contextmanager
def sharing(results: dict[Hashable, Any]) -> Generator[None]:
    """Let evaluations find and leave what they compute; whoever gives the dictionary knows that nothing has changed.

    Args:
        results: What has been computed from the same weights, which is added to.
    """
    token = _results.set(results)
    try:
        yield
    finally:
        _results.reset(token)


def share(key: Hashable, compute: Callable[[], T]) -> T:
    """Give what another evaluation has computed, or compute it; outside of `sharing` it is computed each time.

    Args:
        key: What is computed, and all that it depends on but the weights.
        compute: Computes it. It is called before anything random is drawn, so that it gives all the same.
    """
    results = _results.get()
    if results is None:
        return compute()
    if key not in results:
        results[key] = compute()
    return results[key]
