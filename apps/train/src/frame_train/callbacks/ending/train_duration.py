"""Duration of training."""

from typing import Any

from pytorch_lightning import LightningModule, Trainer

from frame_train.callbacks.clocked import ClockedCallback


class TrainDurationCallback(ClockedCallback):
    """Callback that ends training after an interval, which a resumed run continues.

    Args:
        train_for: The interval: ``"30 minutes"``, ``"20 epochs"``, or any other except ``"end"``.

    Raises:
        ValueError: ``train_for`` is not an interval.
    """

    def __init__(self, train_for: str) -> None:
        super().__init__(train_for, "train_for")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._clock.fraction >= 1:  # the interval had passed before the resume
            trainer.should_stop = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.is_over(trainer):
            trainer.should_stop = True
