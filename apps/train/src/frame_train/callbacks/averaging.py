"""Averages of the weights, where a callback keeps them."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import WeightAveraging


@contextmanager
def averaged_weights(trainer: Trainer) -> Generator[None]:
    """Put the averages of the weights in their place where a callback keeps them, as Lightning's validation does.

    They are also what such a callback puts into checkpoints, and into the model when the training ends.
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
    """Let the averages take in the weights of a batch; where they have, nothing changes.

    What looks at them after a batch then finds the same in whatever order the callbacks stand.
    """
    for averaging in _find_averagings(trainer):
        averaging.on_train_batch_end(trainer, trainer.lightning_module, outputs, batch, batch_idx)


def is_averaged_after(trainer: Trainer) -> bool:
    """Say whether the averages take in the weights once more when an epoch is over."""
    return any(averaging.should_update(epoch_idx=trainer.current_epoch) for averaging in _find_averagings(trainer))


def _find_averagings(trainer: Trainer) -> Sequence[WeightAveraging]:
    callbacks = cast(Sequence[Any], cast(Any, trainer).callbacks)
    return [callback for callback in callbacks if isinstance(callback, WeightAveraging)]
