from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, Trainer

from doubles import DisturbingEvaluation, FailingEvaluation, KeepingLogger, SequenceEvaluation
from frame_train.callbacks import BestCheckpoint, CumulativeLogCallback, EvaluationCallback, PeriodicCheckpoint
from trainers import fit_tiny, ignore_lightning_warnings

pytestmark = ignore_lightning_warnings


def read_step(path: Any) -> int:
    return torch.load(path, weights_only=True)["global_step"]


@pytest.mark.parametrize(("mode", "step"), [("max", 3), ("min", 4)])
def test_the_best_checkpoint_is_of_the_step_with_the_best_metric(mode: Any, step: int, tmp_path: Any) -> None:
    values = [2.0, 1.0, 3.0, -1.0, float("nan")]
    evaluation = EvaluationCallback("A/B", "1 iteration", SequenceEvaluation(*values))
    fit_tiny(evaluation, BestCheckpoint(str(tmp_path), "A/B/x", mode), max_epochs=1)
    assert [path.name for path in tmp_path.glob("*.ckpt")] == ["best.ckpt"]
    assert read_step(tmp_path / "best.ckpt") == step


def test_after_a_resume_only_a_better_metric_replaces_the_best_checkpoint(tmp_path: Any) -> None:
    def callbacks(*values: float) -> list[Callback]:
        evaluation = EvaluationCallback("A", "1 epoch", SequenceEvaluation(*values))
        return [evaluation, BestCheckpoint(str(tmp_path), "A/x"), PeriodicCheckpoint(str(tmp_path), "1 epoch")]

    fit_tiny(*callbacks(2.0), max_epochs=1)
    fit_tiny(*callbacks(1.0), resume_from=tmp_path / "last.ckpt", max_epochs=2)
    assert read_step(tmp_path / "best.ckpt") == 5
    assert read_step(tmp_path / "last.ckpt") == 10


def test_without_a_metric_there_is_no_best_checkpoint(tmp_path: Any) -> None:
    evaluation = EvaluationCallback("A", "1 epoch", DisturbingEvaluation())
    fit_tiny(evaluation, BestCheckpoint(str(tmp_path), None), max_epochs=1)
    assert list(tmp_path.iterdir()) == []


def test_a_metric_that_nothing_logs_is_reported_with_the_logged_numbers(
    tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    evaluation = EvaluationCallback("A/B", "1 epoch", SequenceEvaluation(2.0))
    fit_tiny(evaluation, BestCheckpoint(str(tmp_path), "A/B/y"), max_epochs=1)
    expected = "best.ckpt was not saved: no number was logged as 'A/B/y', only 'A/B/x'. Did you mean `A/B/x`?"
    assert expected in caplog.messages


def test_a_periodic_checkpoint_keeps_all_or_only_the_last(tmp_path: Any) -> None:
    every = PeriodicCheckpoint(str(tmp_path), "2 iterations", keep_all=True)
    fit_tiny(every, PeriodicCheckpoint(str(tmp_path), "3 iterations"), max_epochs=1)
    names = ["last.ckpt", "step-00000002.ckpt", "step-00000004.ckpt", "step-00000005.ckpt"]
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == names
    assert [read_step(tmp_path / name) for name in names] == [5, 2, 4, 5]


def test_two_callbacks_of_one_class_have_separate_states_in_a_checkpoint(tmp_path: Any) -> None:
    def make_callbacks(*values: float) -> list[Callback]:
        directory = str(tmp_path)
        return [
            EvaluationCallback("A", "1 iteration", SequenceEvaluation(*values)),
            CumulativeLogCallback("3 iterations"),
            CumulativeLogCallback("7 iterations"),
            BestCheckpoint(directory, "A/x"),
            BestCheckpoint(directory, "A/x", "min", filename="worst"),
            PeriodicCheckpoint(directory, "2 iterations"),
            PeriodicCheckpoint(directory, "3 iterations"),
            PeriodicCheckpoint(directory, "4 iterations", keep_all=True),
            PeriodicCheckpoint(str(tmp_path / "often"), "1 iteration", keep_all=True),
        ]

    logger = KeepingLogger()
    fit_tiny(*make_callbacks(2.0, 3.0, 1.0, 0.0, 2.0), logger=logger, max_epochs=1)
    assert (read_step(tmp_path / "best.ckpt"), read_step(tmp_path / "worst.ckpt")) == (2, 4)
    assert {"best", "worst", "last"} <= set(logger.kept)
    logger = KeepingLogger()
    fit_tiny(*make_callbacks(2.0, 3.0, 1.0, -1.0, 2.0), logger=logger, resume_from=tmp_path / "last.ckpt", max_epochs=2)
    assert (read_step(tmp_path / "best.ckpt"), read_step(tmp_path / "worst.ckpt")) == (2, 9)
    assert [step for name, _, step, _ in logger.entries if name == "Train"] == [6, 7, 9, 10, 10]


def test_two_best_checkpoints_with_one_file_name_are_refused(tmp_path: Any) -> None:
    twice = [BestCheckpoint(str(tmp_path), "A"), BestCheckpoint(str(tmp_path), "B")]
    with pytest.raises(ValueError, match=r"by 'A' and by 'B' are both 'best.ckpt'.*another `filename`"):
        fit_tiny(*twice, max_epochs=1)


@pytest.mark.parametrize("filename", ["", "a/b", "../best", "/best"])
def test_an_invalid_file_name_is_refused(filename: str) -> None:
    with pytest.raises(ValueError, match="`filename` must be a file name"):
        BestCheckpoint("checkpoints", "A", filename=filename)


class Breaker(Callback):
    """Raises an exception at some batch."""

    def __init__(
        self, batch_idx: int, exception: BaseException, spoils: bool = False, hook: str = "on_after_backward"
    ) -> None:
        self.batch_idx = batch_idx
        self.exception = exception
        self.spoils = spoils
        setattr(self, hook, self._break)

    def _break(self, trainer: Trainer, pl_module: Any, *arguments: Any) -> None:
        if trainer.fit_loop.epoch_loop.batch_idx == self.batch_idx:
            if self.spoils:
                pl_module.model.shift.data[0] = torch.nan
            raise self.exception


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`", "ignore:.*before the epoch ended")
@pytest.mark.parametrize("exception", [KeyboardInterrupt(), RuntimeError("broken")])
def test_a_training_that_fails_saves_its_latest_weights(exception: BaseException, tmp_path: Any) -> None:
    logger = KeepingLogger()
    saving = [PeriodicCheckpoint(str(tmp_path), "1 epoch"), BestCheckpoint(str(tmp_path), "A")]
    evaluation = EvaluationCallback("A", "1 iteration", DisturbingEvaluation())
    with pytest.raises((SystemExit, RuntimeError)):
        fit_tiny(Breaker(3, exception), evaluation, *saving, logger=logger, max_epochs=1)
    expected = fit_tiny(max_epochs=1, max_steps=3).lightning_module.state_dict()
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)
    torch.testing.assert_close(last["state_dict"], dict(expected), rtol=0, atol=0)
    assert (last["global_step"], last["counters"]) == (3, {"iteration": 3})
    assert sorted(logger.kept) == ["best", "last"]
    resumed = fit_tiny(resume_from=tmp_path / "last.ckpt", max_epochs=2)
    assert (resumed.global_step, resumed.lightning_module.counters) == (10, {"iteration": 10})


def test_an_evaluation_that_raises_saves_the_weights_that_it_failed_on(tmp_path: Any) -> None:
    failing = EvaluationCallback("A", "3 iterations", FailingEvaluation())
    with pytest.raises(RuntimeError, match="nothing to see"):
        fit_tiny(failing, PeriodicCheckpoint(str(tmp_path), "1 epoch"), max_epochs=1)
    assert read_step(tmp_path / "last.ckpt") == 3


def test_weights_that_are_not_finite_replace_no_checkpoint(tmp_path: Any) -> None:
    saving = PeriodicCheckpoint(str(tmp_path), "2 iterations")
    with pytest.raises(RuntimeError, match="broken"):
        fit_tiny(Breaker(3, RuntimeError("broken"), spoils=True), saving, max_epochs=1)
    assert read_step(tmp_path / "last.ckpt") == 2


def test_checkpoints_are_saved_only_after_complete_optimizer_steps(tmp_path: Any) -> None:
    options: dict[str, Any] = {"max_epochs": 1, "accumulate_grad_batches": 2}
    fit_tiny(PeriodicCheckpoint(str(tmp_path / "every"), "1 iteration", keep_all=True), **options)
    assert sorted(read_step(path) for path in (tmp_path / "every").glob("*.ckpt")) == [1, 2, 3]
    for hook, steps in (("on_train_batch_start", [1]), ("on_after_backward", [])):  # with accumulated gradients
        place = tmp_path / hook
        breaker = Breaker(2, RuntimeError("broken"), hook=hook)
        with pytest.raises(RuntimeError, match="broken"):
            fit_tiny(breaker, PeriodicCheckpoint(str(place), "1 epoch"), **options)
        assert [read_step(path) for path in place.glob("*.ckpt")] == steps


def test_an_interrupted_optimizer_step_is_not_saved(tmp_path: Any, monkeypatch: Any) -> None:
    n_steps = 0

    def step(optimizer: Any, closure: Callable[[], Any]) -> None:
        nonlocal n_steps
        n_steps += 1
        closure()
        if n_steps == 4:
            raise RuntimeError("broken")

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    with pytest.raises(RuntimeError, match="broken"):
        fit_tiny(PeriodicCheckpoint(str(tmp_path), "2 iterations"), max_epochs=1)
    assert read_step(tmp_path / "last.ckpt") == 2


def test_loggers_that_keep_checkpoints_receive_them(tmp_path: Any) -> None:
    logger = KeepingLogger()
    evaluation = EvaluationCallback("A", "1 epoch", DisturbingEvaluation())
    last, best = PeriodicCheckpoint(str(tmp_path), "2 iterations"), BestCheckpoint(str(tmp_path), "A")
    fit_tiny(evaluation, last, best, logger=logger, max_epochs=1)
    assert sorted(logger.kept) == ["best", "last"]
