"""How long a training takes."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from frame_core import Optimization
from frame_train.interval import Clock, Interval
from frame_train.progress import read_progress


class TrainDurationCallback(Callback):
    """Ends the training when an interval has passed; a resumed training goes on with what is left of it.

    Args:
        train_for: How long: ``"30 minutes"``, ``"20 epochs"``, or any interval that `EvaluationCallback` takes.

    Raises:
        ValueError: ``train_for`` is no interval.
    """

    def __init__(self, train_for: str) -> None:
        self._clock = Clock(Interval.parse(train_for))

    def check(self, optimization: Optimization) -> None:
        """Check, before any training, that a procedure counts what ``train_for`` is measured in.

        Raises:
            ValueError: It does not.
        """
        self._clock.interval.check_unit(optimization.counters)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._clock.start(read_progress(self._clock.interval, trainer, batch_idx))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._clock.advance(read_progress(self._clock.interval, trainer, batch_idx + 1)):
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return self._clock.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._clock.load_state_dict(state_dict)
