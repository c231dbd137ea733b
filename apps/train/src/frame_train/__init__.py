"""Composition with Hydra, data sets, optimization procedures, callbacks, and the commands `train` and `evaluate`.

`load_run` is imported on first use, because the import of torch takes seconds.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frame_train.runs.stored import Run, load_run

__all__ = ["Run", "load_run"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from frame_train.runs import stored

    return getattr(stored, name)
