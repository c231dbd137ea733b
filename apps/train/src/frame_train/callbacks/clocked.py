"""What callbacks that keep an interval share."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from frame_core import Optimization
from frame_train.interval import Clock, Interval
from frame_train.progress import read_progress


class ClockedCallback(Callback):
    """A callback with an interval, whose clock is in the checkpoint.

    Args:
        interval: The interval, such as ``"60 seconds"`` or ``"2 epochs"``.

    Raises:
        ValueError: It is none.
    """

    def __init__(self, interval: str) -> None:
        self._clock = Clock(Interval.parse(interval))

    def check(self, optimization: Optimization) -> None:
        """Check, before any training, that a procedure counts what the interval is measured in.

        Raises:
            ValueError: It does not.
        """
        self._clock.interval.check_unit(optimization.counters)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._clock.start(self._read(trainer, batch_idx))

    def is_over(self, trainer: Trainer, batch_idx: int) -> bool:
        """Say, after a batch, whether the interval is over."""
        return self._clock.advance(self._read(trainer, batch_idx + 1))

    def begin_again(self, trainer: Trainer, batch_idx: int) -> None:
        """Begin a new interval after a batch."""
        self._clock.restart(self._read(trainer, batch_idx + 1))

    def state_dict(self) -> dict[str, Any]:
        return {"clock": self._clock.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._clock.load_state_dict(state_dict["clock"])

    def _read(self, trainer: Trainer, n_batches: int) -> float:
        return read_progress(self._clock.interval, trainer, n_batches / trainer.num_training_batches)
