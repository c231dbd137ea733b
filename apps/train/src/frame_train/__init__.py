"""Composition with Hydra, data sets, optimization procedures, callbacks and the commands train and evaluate.

`load_run` is loaded when it is first asked for: torch takes seconds to import.
"""

from typing import TYPE_CHECKING, Any

from frame_train.commands.startup import make_imports_lazy

if TYPE_CHECKING:
    from frame_train.runs.stored import Run, load_run

__all__ = ["Run", "load_run"]

make_imports_lazy()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from frame_train.runs import stored

    return getattr(stored, name)
