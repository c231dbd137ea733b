"""Callback that counts optimizer steps for a benchmark."""

from collections.abc import Callable
from typing import Any

from pytorch_lightning import Callback, Trainer


class Ticker(Callback):
    """Callback that ticks after each call of the Trainer's loop, once per optimizer step."""

    call_every = 0

    def __init__(self, tick: Callable[[], None]) -> None:
        self.tick = tick
        self.n_ticks = 0

    def on_train_batch_end(self, trainer: Trainer, *arguments: Any) -> None:
        while self.n_ticks < trainer.global_step:
            self.n_ticks += 1
            self.tick()
