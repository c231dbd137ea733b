"""Averaged weights of Lightning's `WeightAveraging` callbacks."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import WeightAveraging


@contextmanager
def averaged_weights(trainer: Trainer) -> Generator[None]:
    """Use the averaged weights of a `WeightAveraging` callback, if the trainer has one, as Lightning's validation does.

    Such a callback also saves the averages in checkpoints, and copies them to the model when training ends.
    """
    averagings = _find_averagings(trainer)
    for averaging in averagings:
        averaging.on_validation_epoch_start(trainer, trainer.lightning_module)
    try:
        yield
    finally:
        for averaging in averagings:
            averaging.on_validation_epoch_end(trainer, trainer.lightning_module)


def update_averages(trainer: Trainer, outputs: Any, batch: Any, batch_idx: int) -> None:
    """Update the averages with the weights after a batch, unless they are up to date.

    So all callbacks see the same averages after a batch, in whatever order they are called.
    """
    for averaging in _find_averagings(trainer):
        averaging.on_train_batch_end(trainer, trainer.lightning_module, outputs, batch, batch_idx)


def is_averaged_after(trainer: Trainer) -> bool:
    """Return whether the averages are updated once more at the end of an epoch."""
    return any(averaging.should_update(epoch_idx=trainer.current_epoch) for averaging in _find_averagings(trainer))


def _find_averagings(trainer: Trainer) -> Sequence[WeightAveraging]:
    callbacks = cast(Sequence[Any], cast(Any, trainer).callbacks)
    return [callback for callback in callbacks if isinstance(callback, WeightAveraging)]
