"""The progress bar."""

import math
import sys
import time
from collections.abc import Sequence
from typing import Any

from pytorch_lightning import LightningModule, Trainer, callbacks
from tqdm import tqdm

from frame_train.optimization.lightning_internals import count_all_batches
from frame_train.optimization.module import OptimizationModule
from frame_train.optimization.progress import read_quantities

_FORMAT = "{l_bar}{bar:10}{r_bar}"  # a fixed width, which leaves the rest of the line to the quantities


class ProgressBar(callbacks.ProgressBar):
    """Progress bar on one line: the epoch, the speed, and the quantities of the latest step.

    On a narrow terminal, it leaves out the last quantities. It waits for the device only when the line is drawn: once a
    minute if the output is not a terminal.

    Args:
        refresh_every: Seconds between two drawings on a terminal; 0 draws after each step.

    Raises:
        ValueError: ``refresh_every`` is negative.
    """

    call_every = 0

    def __init__(self, refresh_every: float = 0.2) -> None:
        super().__init__()
        if not refresh_every >= 0:  # also NaN
            raise ValueError(f"`refresh_every` must be non-negative, got {refresh_every!r}.")
        self._refresh_every = refresh_every if sys.stdout.isatty() else 60.0
        self._next_refresh = 0.0
        self._epoch = 0
        self._outputs: dict[str, Any] = {}
        self._bar: tqdm[Any] | None = None

    def disable(self) -> None:
        """Draw nothing. Lightning calls this on the worker ranks."""
        self._refresh_every = float("inf")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._next_refresh = time.monotonic() + self._refresh_every
        n_batches = _count_batches(trainer)
        self._bar = tqdm(
            initial=_count_done(trainer),
            total=n_batches,
            unit="step",
            file=sys.stdout,
            dynamic_ncols=True,
            bar_format=None if n_batches is None else _FORMAT,
            mininterval=0,
            disable=self._refresh_every == float("inf"),
        )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epoch = trainer.current_epoch + 1

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._outputs = outputs
        if time.monotonic() >= self._next_refresh:
            self._fill(trainer).refresh()
            self._next_refresh = time.monotonic() + self._refresh_every

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._fill(trainer).close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._bar is not None:
            self._bar.close()

    def _fill(self, trainer: Trainer) -> "tqdm[Any]":  # only pyright can subscript it
        """Set the text and the position of the bar."""
        assert self._bar is not None
        n_epochs = "" if trainer.max_epochs in (None, -1) else f"/{trainer.max_epochs}"
        self._bar.set_description(f"epoch {self._epoch}{n_epochs}", refresh=False)
        self._bar.n = _count_done(trainer)
        means = {name: value.float().mean() for name, value in read_quantities(self._outputs, trainer).items()}
        self._bar.set_postfix_str("", refresh=False)
        room = (self._bar.format_dict["ncols"] or math.inf) - len(str(self._bar)) - len(", ")
        self._bar.set_postfix_str(_join([f"{name}={mean.item():.4g}" for name, mean in means.items()], room), False)
        return self._bar


def _join(quantities: Sequence[str], room: float) -> str:
    """Join as many quantities, from the first on, as there is room for."""
    lines = [", ".join(quantities[:n]) for n in range(len(quantities) + 1)]
    return next(line for line in reversed(lines) if len(line) <= room or not line)


def _count_done(trainer: Trainer) -> int:
    """Return the number of processed batches."""
    module = trainer.lightning_module
    n_begun, _ = count_all_batches(trainer)
    return module.counters["iteration"] if isinstance(module, OptimizationModule) else n_begun


def _count_batches(trainer: Trainer) -> int | None:
    """Return the number of batches until training ends, or None if it is unlimited."""
    limits: list[float] = []
    if trainer.max_epochs not in (None, -1):
        module = trainer.lightning_module
        n_batches = module.n_batches if isinstance(module, OptimizationModule) else trainer.num_training_batches
        limits.append(n_batches * trainer.max_epochs)
    if trainer.max_steps != -1:
        limits.append(_count_batches_of_steps(trainer))
    return None if not limits or min(limits) == float("inf") else int(min(limits))


def _count_batches_of_steps(trainer: Trainer) -> float:
    """Return the number of batches in ``max_steps``, or infinity if the optimization does not define it."""
    module = trainer.lightning_module
    if isinstance(module, OptimizationModule):
        return module.count_batches(trainer.max_steps) * trainer.accumulate_grad_batches
    return trainer.max_steps * trainer.accumulate_grad_batches if module.automatic_optimization else float("inf")
