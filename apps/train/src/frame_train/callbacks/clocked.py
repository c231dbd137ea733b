"""What callbacks that keep an interval share."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from frame_core import Clock, Interval, Optimization
from frame_train.optimization.module import Procedure
from frame_train.optimization.progress import read_progress


class ClockedCallback(Callback):
    """A callback with an interval, whose clock is in the checkpoint.

    Args:
        interval: The interval, such as ``"60 seconds"`` or ``"2 epochs"``.
        allow_end: Whether it may be ``"end"``, which passes only when training ends.

    Raises:
        ValueError: It is none.
    """

    def __init__(self, interval: str, allow_end: bool = False) -> None:
        self._clock = Clock(Interval.parse(interval, allow_end))

    @property
    def trip_stride(self) -> int:
        """The number of steps after which it must be called to come in time; 0 where the end of an epoch is enough."""
        interval = self._clock.interval
        if interval.unit in ("iterations", "global_steps") and interval.amount.is_integer():
            return int(interval.amount)
        return (
            0
            if interval.unit in ("seconds", "end") or (interval.unit == "epochs" and interval.amount.is_integer())
            else 1
        )

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

    def _read(self, trainer: Trainer, trip: int) -> float:
        """Read the quantity that the interval is measured in, before a trip through the Trainer's loop."""
        fraction = _read_epoch_fraction(trainer, trip) if self._clock.interval.unit == "epochs" else 0.0
        return read_progress(self._clock.interval, trainer, fraction)


def _read_epoch_fraction(trainer: Trainer, trip: int) -> float:
    """Read how much of an epoch is done before a trip."""
    procedure = trainer.lightning_module
    if isinstance(procedure, Procedure):
        return procedure.get_first_batch(trip) / procedure.n_batches
    return trip / trainer.num_training_batches
