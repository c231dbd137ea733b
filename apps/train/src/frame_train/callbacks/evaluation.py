"""Runs an evaluation every so often."""

import logging
import time
import traceback
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, cast

from pytorch_lightning import LightningModule, Trainer

from frame_core import (
    TEXT_ENTRY,
    Evaluation,
    LogEntry,
    Optimization,
    check_requirements,
    name_numbers,
    reading,
    run_evaluation,
    sharing,
)
from frame_train.callbacks.averaging import averaged_weights, is_averaged_after, update_averages
from frame_train.callbacks.clocked import ClockedCallback
from frame_train.callbacks.stopping import is_stopped
from frame_train.data.loaders import read_with_workers
from frame_train.distributed import collectives
from frame_train.optimization.logs import log_entry
from frame_train.optimization.module import Procedure
from frame_train.optimization.progress import get_optimization

_log = logging.getLogger("frame_train")

_LONGEST_NAME = 100  # loggers make names of files of it


class EvaluationCache:
    """What the evaluations of one step share; the results of an earlier step are dropped."""

    def __init__(self) -> None:
        self._moment: Hashable = None
        self._results: dict[Hashable, Any] = {}

    def get(self, moment: Hashable) -> dict[Hashable, Any]:
        """Return the results so far.

        Args:
            moment: Identifies the weights: they are the same wherever it is.
        """
        if moment != self._moment:
            self._moment, self._results = moment, {}
        return self._results


class EvaluationCallback(ClockedCallback):
    """Evaluates and logs every so often, and once more when the training ends.

    Where a callback averages the weights (`pytorch_lightning.callbacks.WeightAveraging`), it is always the averages
    that are evaluated: they are the weights in every checkpoint, and those of the model when the training has ended.

    Of several processes the first evaluates, by its clock; the others wait, and are told the numbers.

    Args:
        name: Name of what is logged, such as ``ELBO/Validation``.
        evaluate_every: How often: ``"60 seconds"``, ``"5 minutes"``, hours, days, ``"2 epochs"``,
            ``"500 iterations"``, ``"1000 global_steps"`` or any counter of the procedure. Time is
            counted from the end of one evaluation to the beginning of the next.
        evaluator: What is evaluated.
        on_error: Whether an evaluation that raises makes the run ``stop`` or lets it ``continue``; its
            traceback is logged as ``<name>/Error`` in either case.
        max_fraction: Greatest part of the wall time that the evaluation may take, such as 0.1: where it takes
            longer, it comes less often than ``evaluate_every`` says. None for no bound.

    Raises:
        TypeError: ``name`` is no text, or ``evaluator`` no evaluation.
        ValueError: ``name`` is empty, too long or not printable, ``evaluate_every`` no interval, ``on_error`` none of
            the two, or ``max_fraction`` not in (0, 1].
    """

    def __init__(
        self,
        name: str,
        evaluate_every: str,
        evaluator: Evaluation,
        on_error: Literal["stop", "continue"] = "stop",
        max_fraction: float | None = None,
    ) -> None:
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"`name` must be a text, such as 'ELBO/Validation', got {name!r}.")
        if not name:
            raise ValueError("`name` must not be empty: it is what the evaluation is logged as.")
        if not name.isprintable() or len(name) > _LONGEST_NAME:
            raise ValueError(f"`name` must be printable, of at most {_LONGEST_NAME} characters, got {name[:300]!r}.")
        if not isinstance(evaluator, Evaluation):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"`evaluator` must be an `Evaluation`, got {evaluator!r}.")
        if on_error not in ("stop", "continue"):
            raise ValueError(f"`on_error` must be 'stop' or 'continue', got {on_error!r}.")
        if max_fraction is not None and not 0 < max_fraction <= 1:
            raise ValueError(f"`max_fraction` must be greater than 0 and at most 1, got {max_fraction!r}.")
        super().__init__(evaluate_every)
        self.name = name
        self.on_error = on_error
        self.evaluator = evaluator
        self.max_fraction = max_fraction
        self._last_step: int | None = None
        self._not_before = 0.0
        self._cache = EvaluationCache()

    @property
    def state_key(self) -> str:
        return f"EvaluationCallback[{self.name}]"

    def check(self, optimization: Optimization) -> None:
        """Check, before any training, that this evaluation fits a procedure.

        Raises:
            ValueError: The procedure does not count what ``evaluate_every`` is measured in, its data lack
                the split that the evaluator looks at, or something else that it needs is missing.
            TypeError: The model lacks the capability that the evaluator needs, or something is of another kind.
        """
        super().check(optimization)
        self.check_evaluator(optimization)

    def check_evaluator(self, optimization: Optimization) -> None:
        """Check that the evaluator can look at an optimization, whatever it counts.

        Raises:
            ValueError: The data lack the split that the evaluator looks at.
            TypeError: The model lacks the capability that the evaluator needs.
        """
        check_requirements(self.evaluator, optimization)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        callbacks = cast(Sequence[Any], cast(Any, trainer).callbacks)
        first = next(callback for callback in callbacks if isinstance(callback, EvaluationCallback))
        self._cache = first._cache  # one for all

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.is_over(trainer, batch_idx) and collectives.tell_time() >= self._not_before:
            update_averages(trainer, outputs, batch, batch_idx)
            self._evaluate(trainer, ("batch", trainer.current_epoch, batch_idx))
            self.begin_again(trainer, batch_idx)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if is_averaged_after(trainer):
            self._last_step = None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._last_step != trainer.global_step and not is_stopped(trainer):
            self._evaluate(trainer, ("end", trainer.global_step))

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "last_step": self._last_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._last_step = state_dict["last_step"]

    def evaluate(self, optimization: Optimization, global_step: int, log: Callable[[str, LogEntry], None]) -> None:
        """Evaluate, and log the entry, or the traceback where that raises.

        Args:
            optimization: What is evaluated.
            global_step: How far it has come.
            log: Takes the name of an entry and the entry.
        """
        start = time.monotonic()
        try:
            entry = run_evaluation(self.evaluator, optimization)
        except Exception:
            log(f"{self.name}/Error", LogEntry(TEXT_ENTRY, traceback.format_exc()))
            if self.on_error == "stop":
                raise
            _log.exception("The evaluation %r failed at step %d; the rest goes on.", self.name, global_step)
        else:
            log(self.name, replace(entry, seconds=time.monotonic() - start))

    def _evaluate(self, trainer: Trainer, moment: Hashable) -> None:
        self._last_step = trainer.global_step
        logged: list[tuple[str, LogEntry]] = []

        def log(name: str, entry: LogEntry) -> None:
            log_entry(name, entry, trainer)
            if name_numbers(name, entry):
                logged.append((name, entry))

        start = collectives.tell_time()
        if trainer.is_global_zero:
            read = partial(read_with_workers, num_workers=_get_num_workers(trainer.lightning_module))
            with averaged_weights(trainer), sharing(self._cache.get(moment)), reading(read):
                self.evaluate(get_optimization(trainer), trainer.global_step, log)
        for name, entry in collectives.agree_on_first(logged):
            if not trainer.is_global_zero:
                log_entry(name, entry, trainer)
        if self.max_fraction is not None:
            end = collectives.tell_time()
            self._not_before = end + (end - start) * (1 / self.max_fraction - 1)


def _get_num_workers(module: LightningModule) -> int:
    return module.num_workers if isinstance(module, Procedure) else 0
