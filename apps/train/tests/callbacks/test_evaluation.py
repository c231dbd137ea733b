import os
from functools import partial
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from doubles import DisturbingEvaluation, FailingEvaluation, ManualTime, RecordingLogger, SecondPerStep
from frame_core import (
    SCALAR_ENTRY,
    Evaluation,
    LogEntry,
    Model,
    Optimization,
    iterate_batches,
    share,
)
from frame_core.testing import make_tiny_data
from frame_train.callbacks import (
    CumulativeLogCallback,
    EvaluationCallback,
)
from trainers import N_BATCHES, fit, fit_tiny, ignore_lightning_warnings, make_tiny_optimization

pytestmark = ignore_lightning_warnings


class ImpossibleEvaluation(DisturbingEvaluation):
    """Needs a capability that no model has."""

    class Capability(Model):
        pass

    requires: ClassVar[type[Model]] = Capability


@pytest.mark.parametrize(
    ("evaluate_every", "options", "steps"),
    [
        ("1 epoch", {"max_epochs": 3}, [5, 10, 15]),
        ("2 epochs", {"max_epochs": 3}, [10, 15]),
        ("0.4 epochs", {"max_epochs": 2}, [2, 4, 6, 8, 10]),
        ("3 iterations", {"max_epochs": 2}, [3, 6, 9, 10]),
        ("4 global_steps", {"max_epochs": 2}, [4, 8, 10]),
        ("2 global_steps", {"max_epochs": 2, "accumulate_grad_batches": 2}, [2, 4, 6]),
        ("100 iterations", {"max_epochs": 2}, [10]),
        ("1 day", {"max_epochs": 2}, [10]),
        ("end", {"max_epochs": 2}, [10]),
    ],
)
def test_an_evaluation_runs_at_each_interval_and_at_the_end(
    evaluate_every: str, options: dict[str, int], steps: list[int]
) -> None:
    logger = RecordingLogger()
    fit_tiny(EvaluationCallback("A/B", evaluate_every, DisturbingEvaluation()), logger=logger, **options)
    assert logger.steps == steps
    assert {name for name, *_ in logger.entries} == {"A/B"}


def test_an_interval_in_seconds_starts_at_the_end_of_an_evaluation() -> None:
    logger = RecordingLogger()
    fit_tiny(EvaluationCallback("A", "0.000001 seconds", DisturbingEvaluation()), logger=logger, max_epochs=1)
    assert logger.steps == [1, 2, 3, 4, 5]


class TimedEvaluation(DisturbingEvaluation):
    """Takes nine seconds."""

    def __init__(self, time: ManualTime) -> None:
        self._time = time

    def evaluate(self, optimization: Optimization) -> LogEntry:
        self._time.now += 9
        return super().evaluate(optimization)


@pytest.mark.parametrize(
    ("max_fraction", "steps"),
    [(None, [*range(2, 21, 2)]), (1.0, [*range(2, 21, 2)]), (0.75, [*range(2, 21, 3)]), (0.5, [2, 11, 20])],
)
def test_max_fraction_limits_the_share_of_time_that_evaluations_take(
    max_fraction: float | None, steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    time, logger = ManualTime(monkeypatch), RecordingLogger()
    evaluation = EvaluationCallback("A", "2 iterations", TimedEvaluation(time), max_fraction=max_fraction)
    fit_tiny(SecondPerStep(time), evaluation, logger=logger, max_epochs=4)
    assert logger.steps == steps
    assert logger.seconds == [9.0] * len(steps)


@pytest.mark.parametrize("max_fraction", [0, -0.1, 1.1, float("nan")])
def test_an_invalid_max_fraction_is_refused(max_fraction: float) -> None:
    with pytest.raises(ValueError, match="`max_fraction` must be greater than 0 and at most 1, got"):
        EvaluationCallback("A", "1 epoch", DisturbingEvaluation(), max_fraction=max_fraction)


def test_counters_are_logged_with_the_step() -> None:
    logger = RecordingLogger()
    fit_tiny(
        EvaluationCallback("A", "1 epoch", DisturbingEvaluation()),
        logger=logger,
        max_epochs=1,
        accumulate_grad_batches=2,
    )
    assert [(step, counters) for _, _, step, counters in logger.entries] == [(3, {"iteration": 5})]


def test_evaluations_do_not_change_the_weights() -> None:
    without = fit_tiny(max_epochs=2).lightning_module.state_dict()
    evaluations = [EvaluationCallback(name, "1 iteration", DisturbingEvaluation()) for name in ("A", "B")]
    with_evaluations = fit_tiny(
        *evaluations, CumulativeLogCallback("2 iterations"), logger=RecordingLogger(), max_epochs=2
    )
    for name, value in with_evaluations.lightning_module.state_dict().items():
        torch.testing.assert_close(value, without[name], rtol=0, atol=0)


class SharingEvaluation(DisturbingEvaluation):
    """Evaluates to the sum of the weights, which the evaluations of one step share."""

    n_computed = 0

    def evaluate(self, optimization: Optimization) -> LogEntry:
        return LogEntry(SCALAR_ENTRY, share(optimization, "weights", lambda: self.compute(optimization)))

    @classmethod
    def compute(cls, optimization: Optimization) -> float:
        cls.n_computed += 1
        return sum(parameter.double().sum().item() for parameter in optimization.model.parameters())


def test_evaluations_share_results_within_one_step_only() -> None:
    names = ("first", "second", "third")
    callbacks = [EvaluationCallback(name, "2 iterations", SharingEvaluation()) for name in names]
    logger = RecordingLogger()
    fit_tiny(*callbacks, logger=logger, max_epochs=1)
    values = {name: [value for of_name, value, _, _ in logger.entries if of_name == name] for name in names}
    assert values["first"] == values["second"] == values["third"]
    assert len(set(values["first"])) == len(values["first"]) == SharingEvaluation.n_computed == 3


def test_an_interval_continues_after_a_resume(tmp_path: Any) -> None:
    evaluations = lambda: [EvaluationCallback(name, "7 iterations", DisturbingEvaluation()) for name in ("A", "B")]  # noqa: E731
    fit_tiny(*evaluations(), max_epochs=1).save_checkpoint(tmp_path / "a.ckpt")
    logger = RecordingLogger()
    fit_tiny(*evaluations(), logger=logger, resume_from=tmp_path / "a.ckpt", max_epochs=3)
    assert logger.steps == [7, 7, 14, 14, 15, 15]


def test_a_missing_capability_is_reported_before_training() -> None:
    optimization = fit_tiny(max_epochs=1).lightning_module
    with pytest.raises(TypeError, match="`ImpossibleEvaluation` needs a `Capability`"):
        EvaluationCallback("A", "1 epoch", ImpossibleEvaluation()).check(optimization)


def test_an_evaluation_that_raises_stops_the_run_and_logs_its_traceback() -> None:
    logger = RecordingLogger()
    with pytest.raises(RuntimeError, match="nothing to see"):
        fit_tiny(EvaluationCallback("A", "3 iterations", FailingEvaluation()), logger=logger, max_epochs=1)
    ((name, text, step, _),) = logger.entries
    assert (name, step) == ("A/Error", 3)
    assert "RuntimeError: nothing to see" in text
    assert "in evaluate" in text


def test_with_on_error_continue_an_evaluation_that_raises_does_not_stop_the_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = RecordingLogger()
    callback = EvaluationCallback("A", "3 iterations", FailingEvaluation(), on_error="continue")
    assert fit_tiny(callback, logger=logger, max_epochs=1).global_step == N_BATCHES
    assert [(name, step) for name, _, step, _ in logger.entries] == [("A/Error", 3), ("A/Error", 5)]
    assert "The evaluation 'A' failed at step 3" in caplog.text


def test_an_unknown_on_error_is_refused() -> None:
    with pytest.raises(ValueError, match="`on_error` must be 'stop' or 'continue', got 'ignore'"):
        EvaluationCallback("A", "1 epoch", DisturbingEvaluation(), on_error="ignore")


@pytest.mark.parametrize(("name", "error"), [(None, TypeError), (3, TypeError), ("", ValueError)])
def test_an_invalid_name_is_refused(name: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="`name` must"):
        EvaluationCallback(name, "1 epoch", DisturbingEvaluation())


class Readers(Dataset[dict[str, Tensor]]):
    """Returns the id of the process that reads an example."""

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {**make_tiny_data(20)[index], "process": torch.tensor(os.getpid())}


class CountReaders(Evaluation):
    """Counts the processes that read the training data."""

    evaluate_on = "train"

    def evaluate(self, optimization: Optimization) -> LogEntry:
        batches = list(iterate_batches(optimization.data["train"], 10))
        others = {number for batch in batches for number in batch["process"].tolist()} - {os.getpid()}
        return LogEntry(SCALAR_ENTRY, len(others))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_evaluation_uses_the_data_workers_of_the_training(num_workers: int) -> None:
    logger = RecordingLogger()
    make = partial(make_tiny_optimization, data={"train": Readers()}, num_workers=num_workers)
    fit(make, EvaluationCallback("Readers", "1 epoch", CountReaders()), logger=logger, max_epochs=1)
    assert [value for name, value, _, _ in logger.entries if name == "Readers"] == [num_workers]
