"""Callback that counts optimizer steps for a benchmark."""

from collections.abc import Callable
from typing import Any

from pytorch_lightning import Callback, Trainer


class Ticker(Callback):
    """Callback that reports, after each call of the Trainer's loop, the number of optimizer steps that it took."""

    call_every = 0

    def __init__(self, tick: Callable[[int], None]) -> None:
        self.tick = tick
        self.n_ticks = 0

    def on_train_batch_end(self, trainer: Trainer, *arguments: Any) -> None:
        n_new = trainer.global_step - self.n_ticks
        if n_new > 0:
            self.n_ticks += n_new
            self.tick(n_new)
