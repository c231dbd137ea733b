"""A callback that ticks."""

from collections.abc import Callable
from typing import Any

from pytorch_lightning import Callback


class Ticker(Callback):
    """Ticks after each trip through the Trainer's loop, once for each of its steps.

    Args:
        tick: Is called.
        steps_per_trip: Number of steps of a trip.
    """

    def __init__(self, tick: Callable[[], None], steps_per_trip: int = 1) -> None:
        self.tick = tick
        self.steps_per_trip = steps_per_trip

    def on_train_batch_end(self, *arguments: Any) -> None:
        for _ in range(self.steps_per_trip):
            self.tick()
