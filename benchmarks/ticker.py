"""A callback that ticks."""

from collections.abc import Callable
from typing import Any

from pytorch_lightning import Callback


class Ticker(Callback):
    """Ticks after each training step."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self.tick = tick

    def on_train_batch_end(self, *arguments: Any) -> None:
        self.tick()
