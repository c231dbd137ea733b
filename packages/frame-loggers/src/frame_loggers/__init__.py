"""Loggers that show entries on Weights & Biases, TensorBoard or in files.

Each is loaded when it is first asked for, so that none needs the libraries of another.
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
