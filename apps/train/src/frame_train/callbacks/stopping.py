"""Stops a training when it is told to by a signal, at a moment from which it can go on."""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any, cast

from pytorch_lightning import Callback, LightningModule, Trainer

from frame_train.distributed import collectives

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopOnSignal(Callback):
    """Ends the training after the step at which SIGINT, SIGTERM or SIGUSR1 came; a second signal changes nothing.

    Gradients that are still gathered are in no checkpoint: with accumulation it is the optimizer step that is
    finished. After the last batch of an epoch it waits for the next epoch to begin. Of several processes it is enough
    that one receives it: after each step they tell one another, and all stop at the same.
    """

    trip_stride = 0

    def __init__(self) -> None:
        self.received: signal.Signals | None = None  # by any process, as far as all know
        self._arrived = 0  # at this process
        self._global_step = 0

    @contextmanager
    def listening(self) -> Generator[None]:
        """Take notice of signals, from before a training begins until all that follows on it is written."""
        handlers = self._listen()
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        collectives.begin()
        # Lightning's own way, for its own handler, would make every step of several processes wait for the device
        cast(Any, trainer).fit_loop.epoch_loop._broadcast_sigterm_tensor = _do_nothing

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._listen()  # once more: Lightning's own handler would end the training between any two batches

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._meet()
        if self.received is not None:
            _stop(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._global_step = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._meet()
        is_last = batch_idx + 1 == trainer.num_training_batches
        if self.received is not None and trainer.global_step > self._global_step and not is_last:
            _stop(trainer)

    def _listen(self) -> dict[signal.Signals, Any]:
        return {number: signal.signal(number, self._receive) for number in SIGNALS}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if not self._arrived:
            self._arrived = number

    def _meet(self) -> None:
        number = collectives.agree_on_greatest(self._arrived)
        if number and self.received is None:
            self.received = signal.Signals(number)


def _do_nothing() -> None:
    pass


def _stop(trainer: Trainer) -> None:
    """End a training, also one that has not yet come as far as it must otherwise."""
    trainer.fit_loop.min_epochs = None
    trainer.fit_loop.epoch_loop.min_steps = None
    trainer.should_stop = True


def is_stopped(trainer: Trainer) -> bool:
    """Say whether a training ends before its time, to be resumed: what is done at an end is not to be done then."""
    callbacks = cast(list[Any], cast(Any, trainer).callbacks)
    return trainer.should_stop and any(
        isinstance(callback, StopOnSignal) and callback.received is not None for callback in callbacks
    )
