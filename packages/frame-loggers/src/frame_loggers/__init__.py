"""Loggers for Weights & Biases, TensorBoard and files.

Each is imported on first access, so that a logger does not require the libraries of the others.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frame_loggers.file import FileLogger
    from frame_loggers.tensorboard import TensorBoardLogger
    from frame_loggers.wandb import WandbLogger

__all__ = ["FileLogger", "TensorBoardLogger", "WandbLogger"]

_MODULES = {"FileLogger": "file", "TensorBoardLogger": "tensorboard", "WandbLogger": "wandb"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
