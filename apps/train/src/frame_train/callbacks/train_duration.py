"""How long a training takes."""

from typing import Any

from pytorch_lightning import LightningModule, Trainer

from frame_train.callbacks.clocked import ClockedCallback


class TrainDurationCallback(ClockedCallback):
    """Ends the training when an interval has passed; a resumed training goes on with what is left of it.

    Args:
        train_for: How long: ``"30 minutes"``, ``"20 epochs"``, or any interval that `EvaluationCallback` takes.

    Raises:
        ValueError: ``train_for`` is no interval.
    """

    def __init__(self, train_for: str) -> None:
        super().__init__(train_for)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._clock.fraction >= 1:  # it was over when it was stopped
            trainer.should_stop = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.is_over(trainer, batch_idx):
            trainer.should_stop = True
