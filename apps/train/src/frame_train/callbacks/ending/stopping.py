"""Stop of training by a signal, at a step from which it can be resumed."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any, cast

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping, Timer

from frame_train.distributed.collectives import Collectives
from frame_train.optimization.lightning_internals import disable_sigterm_broadcast, stop_training
from frame_train.signals import list_stopping


class StopOnSignal(Callback):
    """Callback that ends training after the step in which SIGINT, SIGTERM, SIGUSR1 or SIGHUP arrives.

    A second signal changes nothing, and SIGHUP nothing under ``nohup``. With gradient accumulation, training ends after
    the optimizer step, because a checkpoint has no accumulated gradients. After the last batch of an epoch, it ends
    when the next epoch begins. The ranks exchange signals after each step, so a signal at any rank stops all of them at
    the same step.
    """

    call_every = 0

    def __init__(self) -> None:
        self.collectives = Collectives()
        self.received: signal.Signals | None = None  # by any rank; equal on all ranks
        self._arrived = 0  # on this rank
        self._global_step = 0

    @property
    def is_stop_requested(self) -> bool:
        """Whether a signal has arrived at this process. A step group then ends after its current step."""
        return self._arrived != 0

    @contextmanager
    def listening(self) -> Generator[None]:
        """Handle signals within the block, which also covers the time before and after training."""
        handlers = self._listen()
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.collectives.connect()
        disable_sigterm_broadcast(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._listen()  # again, because Lightning has set a handler that ends training between any two batches

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._exchange()
        if self.received is not None:
            stop_training(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._global_step = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._exchange()
        is_last = batch_idx + 1 == trainer.num_training_batches
        if self.received is not None and trainer.global_step > self._global_step and not is_last:
            stop_training(trainer)

    def _listen(self) -> dict[signal.Signals, Any]:
        if threading.current_thread() is not threading.main_thread():  # Python allows handlers in the main thread alone
            return {}
        return {number: signal.signal(number, self._receive) for number in list_stopping()}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if not self._arrived:
            self._arrived = number

    def _exchange(self) -> None:
        number = self.collectives.compute_maximum(self._arrived)
        if number and self.received is None:
            self.received = signal.Signals(number)


def is_stopped(trainer: Trainer) -> bool:
    """Return whether a signal ends training early. Callbacks then skip what belongs to the end of training."""
    callbacks = cast(list[Any], cast(Any, trainer).callbacks)
    return trainer.should_stop and any(
        isinstance(callback, StopOnSignal) and callback.received is not None for callback in callbacks
    )


def explain_early_end(trainer: Trainer) -> str | None:
    """Return why training ended before ``max_epochs``; None if it did not, or if there is no such limit."""
    if trainer.max_epochs in (None, -1) or trainer.current_epoch >= trainer.max_epochs:
        return None
    for callback in cast(list[Any], cast(Any, trainer).callbacks):
        if isinstance(callback, EarlyStopping) and callback.stopping_reason_message and trainer.should_stop:
            return f"`EarlyStopping`: {callback.stopping_reason_message.removesuffix(' Signaling Trainer to stop.')}"
        remaining = callback.time_remaining() if isinstance(callback, Timer) else None
        if remaining is not None and remaining <= 0:
            return "`trainer.max_time` is over."
    if trainer.global_step == trainer.max_steps:
        return f"`trainer.max_steps={trainer.max_steps}` is reached."
    return "A callback or the optimization stopped it."
