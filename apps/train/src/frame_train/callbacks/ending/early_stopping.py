"""End of training when a metric no longer improves."""

from typing import Any

from pytorch_lightning import LightningModule, Trainer, callbacks

from frame_core import LogEntry, name_numbers
from frame_train.optimization.lightning_internals import check_early_stopping


class EarlyStopping(callbacks.EarlyStopping):
    """Lightning's `EarlyStopping`, which compares after each evaluation of the metric instead of after each epoch.

    Args:
        monitor: Full name of the metric, such as ``ELBO/Validation``.
        mode: Whether the best value is the largest (``max``) or the smallest (``min``).
        patience: Number of evaluations without a better value after which training ends.
        min_delta: Smallest difference that counts as better.
    """

    call_every = 0

    def __init__(self, monitor: str, mode: str = "max", patience: int = 10, min_delta: float = 0.0) -> None:
        super().__init__(monitor, min_delta, patience, mode=mode)
        self._is_new = False

    def on_log_entry(self, name: str, entry: LogEntry) -> None:
        """Remember a new value. It is compared after the next batch, by all ranks together."""
        self._is_new |= self.monitor in name_numbers(name, entry)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._is_new:
            self._is_new = False
            check_early_stopping(self, trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Skip the comparison that Lightning makes after each epoch."""

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "is_new": self._is_new}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._is_new = state_dict["is_new"]
