"""Evaluations at an interval."""

import logging
import time
import traceback
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any, Literal, cast

from pytorch_lightning import LightningModule, Trainer

from frame_core import (
    SCALAR_ENTRY,
    TEXT_ENTRY,
    Evaluation,
    EvaluationView,
    LogEntry,
    Optimization,
    check_requirements,
    name_numbers,
    run_evaluation,
)
from frame_train.callbacks.averaging import averaged_weights, is_averaged_after, update_averages
from frame_train.callbacks.clocked import ClockedCallback
from frame_train.callbacks.ending.stopping import is_stopped
from frame_train.data.loaders import DataWithWorkers
from frame_train.distributed.collectives import get_collectives
from frame_train.distributed.sharding import ShardedStrategy
from frame_train.errors import EvaluationError, describe_error
from frame_train.optimization.logs import log_entry
from frame_train.optimization.progress import get_optimization

_log = logging.getLogger("frame_train")

_LONGEST_NAME = 100  # characters; loggers use the name in file names


class EvaluationCache:
    """Results shared by the evaluations of one step. Results of an earlier step are dropped."""

    def __init__(self) -> None:
        self._step: Hashable = None
        self._results: dict[Hashable, Any] = {}

    def get(self, step: Hashable) -> dict[Hashable, Any]:
        """Return the results so far.

        Args:
            step: Identifies the weights: they are the same for equal values.
        """
        if step != self._step:
            self._step, self._results = step, {}
        return self._results


class EvaluationCallback(ClockedCallback):
    """Callback that evaluates and logs after each interval, and once more when training ends.

    If a callback averages the weights (`pytorch_lightning.callbacks.WeightAveraging`), the averages are evaluated.
    Checkpoints contain the averages too, and the model has them after training.

    With several ranks, rank 0 evaluates by its own clock; the other ranks wait for the numbers. If the model is
    sharded, all ranks evaluate together, each the same.

    Args:
        name: Name of what is logged, such as ``ELBO/Validation``.
        evaluate_every: Interval: ``"60 seconds"``, ``"5 minutes"``, hours, days, ``"2 epochs"``,
            ``"500 iterations"``, ``"1000 global_steps"``, any counter of the optimization, or ``"end"`` for one
            evaluation when the training ends. Time is measured from the end of one evaluation to the start of the
            next.
        evaluator: The evaluation.
        on_error: If the evaluation raises, ``stop`` ends training and ``continue`` does not. In both cases, the
            traceback is logged as ``<name>/Error``.
        max_fraction: Maximum fraction of the wall time that the evaluation may take, such as 0.1. A slower
            evaluation runs less often than ``evaluate_every``. None means no limit.

    Raises:
        TypeError: ``name`` is not a string, or ``evaluator`` is not an evaluation.
        ValueError: ``name`` is empty, too long or not printable, ``evaluate_every`` is not an interval, ``on_error``
            is neither ``stop`` nor ``continue``, or ``max_fraction`` is not in (0, 1].
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
            raise TypeError(f"`name` must be a string, such as 'ELBO/Validation', got {name!r}.")
        if not name:
            raise ValueError("`name` must not be empty: the evaluation is logged under it.")
        if not name.isprintable() or len(name) > _LONGEST_NAME:
            raise ValueError(f"`name` must be printable, of at most {_LONGEST_NAME} characters, got {name[:300]!r}.")
        if not isinstance(evaluator, Evaluation):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"`evaluator` must be an `Evaluation`, got {evaluator!r}.")
        if on_error not in ("stop", "continue"):
            raise ValueError(f"`on_error` must be 'stop' or 'continue', got {on_error!r}.")
        if max_fraction is not None and not 0 < max_fraction <= 1:
            raise ValueError(f"`max_fraction` must be greater than 0 and at most 1, got {max_fraction!r}.")
        super().__init__(evaluate_every, "evaluate_every", allow_end=True)
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
        """Check, before training, that an optimization has what the interval and the evaluator need.

        Raises:
            ValueError: The unit of ``evaluate_every`` is not counted, the data lack the split that the evaluator
                reads, or something else is missing.
            TypeError: The model lacks the capability that the evaluator requires, or something has another type.
        """
        super().check(optimization)
        self.check_evaluator(optimization)

    def check_evaluator(self, optimization: Optimization) -> None:
        """Check that an optimization has what the evaluator needs; the interval is not checked.

        Raises:
            ValueError: The data lack the split that the evaluator reads, or something else is missing.
            TypeError: The model lacks the capability that the evaluator requires, or something has another type.
        """
        check_requirements(self.evaluator, optimization)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        callbacks = cast(Sequence[Any], cast(Any, trainer).callbacks)
        first = next(callback for callback in callbacks if isinstance(callback, EvaluationCallback))
        self._cache = first._cache  # one cache for all evaluations

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.is_over(trainer) and get_collectives(trainer).read_clock() >= self._not_before:
            update_averages(trainer, outputs, batch, batch_idx)
            self._evaluate(trainer, ("batch", trainer.current_epoch, batch_idx))
            self.begin_again(trainer)

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
        """Evaluate, and log the entry; if that raises, log the traceback.

        Args:
            optimization: The optimization.
            global_step: Its global step.
            log: Called with the name of the entry and the entry.
        """
        start = time.monotonic()
        try:
            entry = run_evaluation(self.evaluator, optimization)
        except Exception as error:
            log(f"{self.name}/Error", LogEntry(TEXT_ENTRY, traceback.format_exc()))
            if self.on_error == "stop":
                raise EvaluationError(
                    f"The evaluation {self.name!r} failed at step {global_step}: {describe_error(error)}\n"
                    f"Its traceback is logged as '{self.name}/Error'."
                ) from error
            _log.exception("The evaluation %r failed at step %d; the training continues.", self.name, global_step)
        else:
            log(self.name, replace(entry, seconds=time.monotonic() - start))

    def _evaluate(self, trainer: Trainer, step: Hashable) -> None:
        self._last_step = trainer.global_step
        numbers: dict[str, float] = {}

        def log(name: str, entry: LogEntry) -> None:
            if not trainer.is_global_zero:
                return
            log_entry(name, entry, trainer)
            numbers.update(name_numbers(name, entry))

        collectives = get_collectives(trainer)
        start = collectives.read_clock()
        if trainer.is_global_zero or isinstance(trainer.strategy, ShardedStrategy):  # no rank has the whole model
            num_workers = cast(int, getattr(trainer.lightning_module, "num_workers", 0))
            view = make_view(get_optimization(trainer), num_workers, self._cache.get(step))
            with averaged_weights(trainer):
                self.evaluate(view, trainer.global_step, log)
        for name, number in collectives.broadcast(numbers).items():
            if not trainer.is_global_zero:
                log_entry(name, LogEntry(SCALAR_ENTRY, number), trainer)
        if self.max_fraction is not None:
            end = collectives.read_clock()
            self._not_before = end + (end - start) * (1 / self.max_fraction - 1)


def make_view(optimization: Optimization, num_workers: int, cache: dict[Hashable, Any]) -> EvaluationView:
    """Return the view of an optimization that evaluations receive.

    Args:
        optimization: The optimization.
        num_workers: Number of data-loading workers, for data sets that are not in memory.
        cache: Results that the evaluations of one step share.
    """
    data = DataWithWorkers(optimization, num_workers)
    return EvaluationView(optimization.model, data, optimization.counters, cache)
