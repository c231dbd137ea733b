"""Logs of the quantities that the training step returns."""

from typing import Any, cast

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping
from torch import Tensor

from frame_core import SCALARS_ENTRY, LogEntry
from frame_train.callbacks.clocked import ClockedCallback
from frame_train.callbacks.ending.finiteness import check_losses
from frame_train.callbacks.ending.stopping import is_stopped
from frame_train.distributed.collectives import Collectives, get_collectives
from frame_train.optimization.logs import log_entry
from frame_train.optimization.progress import read_quantities


class CumulativeLogCallback(ClockedCallback):
    """Callback that logs the means of the training quantities since its last entry, as ``Train/<name>``.

    It also logs after each epoch if `EarlyStopping` monitors one of them.

    Each mean is over the steps that returned the quantity, and over all processes. The sums stay on the device until
    they are logged, so that no step waits for it. A loss that is not finite ends training when it is logged.

    Args:
        log_every: The interval, such as ``"100 iterations"``; any interval that `EvaluationCallback` takes.

    Raises:
        ValueError: ``log_every`` is not an interval.
    """

    def __init__(self, log_every: str) -> None:
        super().__init__(log_every, "log_every")
        self._log_every = log_every
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._since = 0
        self._collectives = Collectives()
        self._is_monitored = False

    @property
    def state_key(self) -> str:
        return f"CumulativeLogCallback[{self._log_every}]"

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._collectives = get_collectives(trainer)
        callbacks = cast(list[Any], cast(Any, trainer).callbacks)
        monitors = [callback.monitor for callback in callbacks if isinstance(callback, EarlyStopping)]
        self._is_monitored = any(monitor.startswith("Train/") for monitor in monitors)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._since = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        for name, value in read_quantities(outputs, trainer).items():
            total = value.detach() if value.ndim == 0 else value.detach().sum()
            self._sums[name] = self._sums[name] + total if name in self._sums else total
            self._counts[name] = self._counts.get(name, 0) + value.numel()
        if self.is_over(trainer):
            if self._sums:
                self._log_and_check(trainer)
            self.begin_again(trainer)
        elif self._is_monitored and self._sums and batch_idx + 1 == trainer.num_training_batches:
            self._log_and_check(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._sums and not is_stopped(trainer):
            self._log_and_check(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._sums and trainer.world_size == 1:  # other processes may be lost
            self._log(trainer)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "sums": self._collectives.gather(self._sums), "counts": self._counts}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        sums: list[dict[str, Tensor]] = state_dict["sums"]
        own = self._collectives.select_own(sums)
        means = {name: torch.stack([of_rank[name] for of_rank in sums]).mean(0) for name in sums[0]}
        self._sums = means if own is None else own
        self._counts = state_dict["counts"]

    def _log_and_check(self, trainer: Trainer) -> None:
        check_losses(self._log(trainer), trainer, self._since)
        self._since = trainer.global_step

    def _log(self, trainer: Trainer) -> dict[str, float]:
        sums = torch.stack(list(self._sums.values())).tolist()
        own = [value / self._counts[name] for name, value in zip(self._sums, sums)]
        means = dict(zip(self._sums, self._collectives.compute_means(own)))
        entry = LogEntry(data_type=SCALARS_ENTRY, value=means)
        log_entry("Train", entry, trainer)
        self._sums = {}
        self._counts = {}
        return means
