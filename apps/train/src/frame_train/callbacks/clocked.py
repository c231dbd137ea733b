"""The base class of callbacks with an interval."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from frame_core import Clock, Interval, Optimization
from frame_train.errors import naming
from frame_train.optimization.lightning_internals import count_batches
from frame_train.optimization.module import OptimizationModule
from frame_train.optimization.progress import read_progress


class ClockedCallback(Callback):
    """Callback with an interval, whose clock is in the checkpoint.

    Args:
        interval: The interval, such as ``"60 seconds"`` or ``"2 epochs"``.
        name: Name of the argument with the interval, for error messages.
        allow_end: Whether the interval may be ``"end"``, which passes only when training ends.

    Raises:
        ValueError: ``interval`` is not an interval.
    """

    def __init__(self, interval: str, name: str, allow_end: bool = False) -> None:
        self._argument = name
        with naming(name):
            self._clock = Clock(Interval.parse(interval, allow_end))

    @property
    def unit(self) -> str:
        """Unit of the interval."""
        return self._clock.interval.unit

    @property
    def call_every(self) -> int:
        """Number of steps after which the callback must be called; 0 if it is enough to call it after each epoch."""
        interval = self._clock.interval
        if interval.unit in ("iterations", "global_steps") and interval.amount.is_integer():
            return int(interval.amount)
        return (
            0
            if interval.unit in ("seconds", "end") or (interval.unit == "epochs" and interval.amount.is_integer())
            else 1
        )

    def check(self, optimization: Optimization) -> None:
        """Check, before training, that an optimization has a counter for the unit of the interval.

        Raises:
            ValueError: It has no such counter.
        """
        with naming(self._argument):
            self._clock.interval.check_unit(optimization.counters)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._clock.start(self._read(trainer))

    def is_over(self, trainer: Trainer) -> bool:
        """Return, after a batch, whether the interval is over."""
        return self._clock.advance(self._read(trainer))

    def begin_again(self, trainer: Trainer) -> None:
        """Begin a new interval after a batch."""
        self._clock.restart(self._read(trainer))

    def state_dict(self) -> dict[str, Any]:
        return {"clock": self._clock.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._clock.load_state_dict(state_dict["clock"])

    def _read(self, trainer: Trainer) -> float:
        """Read the progress of training in the unit of the interval."""
        fraction = _read_epoch_fraction(trainer) if self._clock.interval.unit == "epochs" else 0.0
        return read_progress(self._clock.interval, trainer, fraction)


def _read_epoch_fraction(trainer: Trainer) -> float:
    """Read the fraction of the current epoch that is complete."""
    module = trainer.lightning_module
    if isinstance(module, OptimizationModule):
        return module.n_done / module.n_batches
    _, n_done = count_batches(trainer)
    return n_done / trainer.num_training_batches
