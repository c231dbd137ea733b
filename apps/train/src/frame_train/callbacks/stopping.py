"""Stops a training when it is told to by a signal, at a moment from which it can go on."""

import signal
from types import FrameType
from typing import Any, cast

from pytorch_lightning import Callback, LightningModule, Trainer

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopOnSignal(Callback):
    """Ends the training after the step at which SIGINT, SIGTERM or SIGUSR1 came; a second signal changes nothing.

    Gradients that are still gathered are in no checkpoint: with accumulation it is the optimizer step that is
    finished. After the last batch of an epoch it waits for the next epoch to begin.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._handlers: dict[signal.Signals, Any] = {}
        self._global_step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._handlers = {number: signal.signal(number, self._receive) for number in SIGNALS}

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.received is not None:
            trainer.should_stop = True

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._global_step = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        is_last = batch_idx + 1 == trainer.num_training_batches
        if self.received is not None and trainer.global_step > self._global_step and not is_last:
            trainer.should_stop = True

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = signal.Signals(number)


def is_stopped(trainer: Trainer) -> bool:
    """Say whether a training ends before its time, to be resumed: what is done at an end is not to be done then."""
    callbacks = cast(list[Any], cast(Any, trainer).callbacks)
    return trainer.should_stop and any(
        isinstance(callback, StopOnSignal) and callback.received is not None for callback in callbacks
    )
