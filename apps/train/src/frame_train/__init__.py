"""Composition with Hydra, data sets, optimization modules, callbacks, and the commands `train` and `evaluate`.

The functions are imported on first use, because torch takes seconds to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frame_train.api import evaluate, train
    from frame_train.errors import CompositionError, EvaluationError, TrainingError
    from frame_train.runs.result import Result
    from frame_train.runs.stored import Run, load_run
    from frame_train.runs.transfer.pretrained import Pretrained

__all__ = [
    "CompositionError",
    "EvaluationError",
    "Pretrained",
    "Result",
    "Run",
    "TrainingError",
    "evaluate",
    "load_run",
    "train",
]

_MODULES = {
    "CompositionError": "errors",
    "EvaluationError": "errors",
    "Pretrained": "runs.transfer.pretrained",
    "Result": "runs.result",
    "Run": "runs.stored",
    "TrainingError": "errors",
    "evaluate": "api",
    "load_run": "runs.stored",
    "train": "api",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
