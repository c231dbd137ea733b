import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import EMAWeightAveraging, WeightAveraging
from pytorch_lightning.loggers.logger import DummyLogger
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from frame_core import (
    SCALAR_ENTRY,
    SCALARS_ENTRY,
    Evaluation,
    LogEntry,
    Model,
    Optimization,
    iterate_batches,
    run_evaluation,
    share,
)
from frame_core.testing import TinyModel, TinyOptimization, make_tiny_data
from frame_eval import ELBOEvaluation
from frame_train.callbacks import (
    BestCheckpoint,
    CumulativeLogCallback,
    EvaluationCallback,
    PeriodicCheckpoint,
    ProgressBar,
    TrainDurationCallback,
)
from frame_train.data import InMemoryDataset
from frame_train.optimization import AdamBatchOptimization

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:.*smaller than the logging interval",
    "ignore:.*LeafSpec.*:FutureWarning",
)
N_BATCHES = 5


class RecordingLogger(DummyLogger):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[tuple[str, Any, int | None, dict[str, int]]] = []
        self.seconds: list[float | None] = []

    def log(
        self, name: str, log_entry: LogEntry, global_step: int | None = None, counters: Mapping[str, int] | None = None
    ) -> None:
        self.entries.append((name, log_entry.value, global_step, dict(counters or {})))
        self.seconds.append(log_entry.seconds)

    @property
    def steps(self) -> list[int | None]:
        return [step for _, _, step, _ in self.entries]


class KeepingLogger(RecordingLogger):
    """Keeps checkpoints too."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []

    def log_checkpoint(self, path: Path, name: str) -> None:
        assert path.is_file()
        self.kept.append(name)


class DisturbingEvaluation(Evaluation):
    """Draws from every generator and asks for the mode of the model, as a careless evaluation does."""

    def evaluate(self, optimization: Optimization) -> LogEntry:
        assert not optimization.model.training
        draws = torch.rand(7).sum().item() + float(np.random.rand(3).sum()) + random.random()
        return LogEntry(SCALAR_ENTRY, draws)


class ImpossibleEvaluation(DisturbingEvaluation):
    """Needs a capability that no model has."""

    class Capability(Model):
        pass

    requires: ClassVar[type[Model]] = Capability


class Recorder(Callback):
    """Keeps what every training step returns."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, *arguments: Any) -> None:
        self.outputs.append(arguments[2])


def make_data() -> dict[str, InMemoryDataset]:
    return {"train": InMemoryDataset(default_collate(make_tiny_data(48)))}


def fit(
    callbacks: Sequence[Callback], logger: Any = False, ckpt_path: Any = None, checkpoint: bool = False, **options: Any
) -> Trainer:
    torch.manual_seed(0)
    optimization = AdamBatchOptimization(TinyModel(), make_data(), num_workers=0, batch_size=10, lr=0.01)
    trainer = Trainer(
        accelerator="cpu",
        callbacks=list(callbacks),
        logger=logger,
        enable_checkpointing=checkpoint,
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
        enable_model_summary=False,
        **options,
    )
    trainer.fit(optimization, ckpt_path=ckpt_path, weights_only=True)
    return trainer


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
    ],
)
def test_it_evaluates_every_so_often_and_at_the_end(
    evaluate_every: str, options: dict[str, int], steps: list[int]
) -> None:
    logger = RecordingLogger()
    fit([EvaluationCallback("A/B", evaluate_every, DisturbingEvaluation())], logger, **options)
    assert logger.steps == steps
    assert {name for name, *_ in logger.entries} == {"A/B"}


def test_time_is_counted_from_the_end_of_an_evaluation() -> None:
    logger = RecordingLogger()
    fit([EvaluationCallback("A", "0.000001 seconds", DisturbingEvaluation())], logger, max_epochs=1)
    assert logger.steps == [1, 2, 3, 4, 5]


class Time:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class TimedStep(Callback):
    """Lets a second pass in each step."""

    def __init__(self, time: Time) -> None:
        self._time = time

    def on_train_batch_end(self, *arguments: Any) -> None:
        self._time.now += 1


class TimedEvaluation(DisturbingEvaluation):
    """Takes nine seconds."""

    def __init__(self, time: Time) -> None:
        self._time = time

    def evaluate(self, optimization: Optimization) -> LogEntry:
        self._time.now += 9
        return super().evaluate(optimization)


@pytest.mark.parametrize(
    ("max_fraction", "steps"),
    [(None, [*range(2, 21, 2)]), (1.0, [*range(2, 21, 2)]), (0.75, [*range(2, 21, 3)]), (0.5, [2, 11, 20])],
)
def test_an_evaluation_comes_less_often_where_it_takes_more_than_its_part_of_the_time(
    max_fraction: float | None, steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    time, logger = Time(), RecordingLogger()
    for module in ("callbacks.evaluation", "distributed.collectives"):
        monkeypatch.setattr(f"frame_train.{module}.time", time)
    evaluation = EvaluationCallback("A", "2 iterations", TimedEvaluation(time), max_fraction=max_fraction)
    fit([TimedStep(time), evaluation], logger, max_epochs=4)
    assert logger.steps == steps
    assert logger.seconds == [9.0] * len(steps)


@pytest.mark.parametrize("max_fraction", [0, -0.1, 1.1, float("nan")])
def test_a_fraction_that_is_none_is_refused(max_fraction: float) -> None:
    with pytest.raises(ValueError, match="`max_fraction` must be greater than 0 and at most 1, got"):
        EvaluationCallback("A", "1 epoch", DisturbingEvaluation(), max_fraction=max_fraction)


def test_the_counters_are_logged_beside_the_step() -> None:
    logger = RecordingLogger()
    fit([EvaluationCallback("A", "1 epoch", DisturbingEvaluation())], logger, max_epochs=1, accumulate_grad_batches=2)
    assert [(step, counters) for _, _, step, counters in logger.entries] == [(3, {"iteration": 5})]


def test_weights_are_the_same_with_and_without_evaluations() -> None:
    without = fit([], max_epochs=2).lightning_module.state_dict()
    evaluations = [EvaluationCallback(name, "1 iteration", DisturbingEvaluation()) for name in ("A", "B")]
    with_evaluations = fit([*evaluations, CumulativeLogCallback("2 iterations")], RecordingLogger(), max_epochs=2)
    for name, value in with_evaluations.lightning_module.state_dict().items():
        torch.testing.assert_close(value, without[name], rtol=0, atol=0)


class SharingEvaluation(DisturbingEvaluation):
    """Gives the sum of the weights, computed once for all of its kind at a moment."""

    n_computed = 0

    def evaluate(self, optimization: Optimization) -> LogEntry:
        return LogEntry(SCALAR_ENTRY, share("weights", lambda: self.compute(optimization)))

    @classmethod
    def compute(cls, optimization: Optimization) -> float:
        cls.n_computed += 1
        return sum(parameter.double().sum().item() for parameter in optimization.model.parameters())


def test_what_evaluations_of_one_moment_share_is_computed_once_and_anew_at_the_next() -> None:
    names = ("first", "second", "third")
    callbacks = [EvaluationCallback(name, "2 iterations", SharingEvaluation()) for name in names]
    logger = RecordingLogger()
    fit(callbacks, logger, max_epochs=1)
    values = {name: [value for of_name, value, _, _ in logger.entries if of_name == name] for name in names}
    assert values["first"] == values["second"] == values["third"]
    assert len(set(values["first"])) == len(values["first"]) == SharingEvaluation.n_computed == 3


def test_an_interval_goes_on_after_a_resume_where_it_was(tmp_path: Any) -> None:
    evaluations = lambda: [EvaluationCallback(name, "7 iterations", DisturbingEvaluation()) for name in ("A", "B")]  # noqa: E731
    fit(evaluations(), max_epochs=1).save_checkpoint(tmp_path / "a.ckpt")
    logger = RecordingLogger()
    fit(evaluations(), logger, tmp_path / "a.ckpt", max_epochs=3)
    assert logger.steps == [7, 7, 14, 14, 15, 15]


def test_a_unit_that_the_procedure_does_not_count_is_found_before_training() -> None:
    optimization = fit([], max_epochs=1).lightning_module
    with pytest.raises(ValueError, match="got 'critic_steps'"):
        EvaluationCallback("A", "5 critic_steps", DisturbingEvaluation()).check(optimization)
    with pytest.raises(ValueError, match="got 'critic_steps'"):
        CumulativeLogCallback("5 critic_steps").check(optimization)


def test_a_capability_that_the_model_lacks_is_found_before_training() -> None:
    optimization = fit([], max_epochs=1).lightning_module
    with pytest.raises(TypeError, match="`ImpossibleEvaluation` needs a `Capability`"):
        EvaluationCallback("A", "1 epoch", ImpossibleEvaluation()).check(optimization)


def test_training_quantities_are_logged_as_means_since_the_last_entry() -> None:
    logger, recorder = RecordingLogger(), Recorder()
    fit([recorder, CumulativeLogCallback("3 iterations")], logger, max_epochs=1)
    assert logger.steps == [3, 5]
    for (_, values, _, _), outputs in zip(logger.entries, (recorder.outputs[:3], recorder.outputs[3:])):
        for name in ("loss", "reconstruction", "regularization", "classification"):
            expected = torch.stack([output[name] for output in outputs]).mean().item()
            assert values[name] == pytest.approx(expected)


def test_the_loss_is_logged_as_it_is_under_accumulation() -> None:
    logger = RecordingLogger()
    fit([CumulativeLogCallback("1 iteration")], logger, max_epochs=1, accumulate_grad_batches=2)
    for _, values, _, _ in logger.entries:
        terms = values["reconstruction"] + values["regularization"] + values["classification"]
        assert values["loss"] == pytest.approx(terms, rel=1e-5)


def test_what_was_not_logged_yet_is_logged_when_a_run_breaks_off() -> None:
    logger = RecordingLogger()
    failing = EvaluationCallback("A", "3 iterations", FailingEvaluation())
    with pytest.raises(RuntimeError, match="nothing to see"):
        fit([CumulativeLogCallback("100 iterations"), failing], logger, max_epochs=1)
    assert [(name, step) for name, _, step, _ in logger.entries] == [("A/Error", 3), ("Train", 3)]


def test_means_go_on_after_a_resume_where_they_were(tmp_path: Any) -> None:
    whole, resumed = RecordingLogger(), RecordingLogger()
    fit([CumulativeLogCallback("7 iterations")], whole, max_epochs=2)

    class Saver(Callback):
        def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
            trainer.save_checkpoint(tmp_path / "a.ckpt")

    fit([CumulativeLogCallback("7 iterations"), Saver()], RecordingLogger(), max_epochs=1)
    fit([CumulativeLogCallback("7 iterations")], resumed, tmp_path / "a.ckpt", max_epochs=2)
    assert resumed.steps == whole.steps
    assert set(resumed.entries[0][1]) == set(whole.entries[0][1])


def make_run_for(train_for: str, **options: Any) -> Trainer:
    return fit([TrainDurationCallback(train_for)], **{"max_epochs": -1, **options})


@pytest.mark.parametrize(
    ("train_for", "n_steps"), [("7 iterations", 7), ("2 epochs", 10), ("1.4 epochs", 7), ("3 global_steps", 3)]
)
def test_the_training_ends_when_its_time_has_passed(train_for: str, n_steps: int) -> None:
    assert make_run_for(train_for).global_step == n_steps


def test_a_training_for_some_time_ends_by_itself() -> None:
    assert make_run_for("0.5 seconds").global_step > 1


def test_a_resumed_training_goes_on_for_what_is_left(tmp_path: Any) -> None:
    fit([TrainDurationCallback("8 iterations")], max_epochs=1).save_checkpoint(tmp_path / "a.ckpt")
    assert make_run_for("8 iterations", ckpt_path=tmp_path / "a.ckpt").global_step == 8


class FailingEvaluation(DisturbingEvaluation):
    """Raises."""

    def evaluate(self, optimization: Optimization) -> LogEntry:
        raise RuntimeError("nothing to see")


def test_an_evaluation_that_raises_stops_the_run_and_its_traceback_is_logged() -> None:
    logger = RecordingLogger()
    with pytest.raises(RuntimeError, match="nothing to see"):
        fit([EvaluationCallback("A", "3 iterations", FailingEvaluation())], logger, max_epochs=1)
    ((name, text, step, _),) = logger.entries
    assert (name, step) == ("A/Error", 3)
    assert "RuntimeError: nothing to see" in text
    assert "in evaluate" in text


def test_an_evaluation_that_raises_lets_the_run_go_on_where_it_may(caplog: pytest.LogCaptureFixture) -> None:
    logger = RecordingLogger()
    callback = EvaluationCallback("A", "3 iterations", FailingEvaluation(), on_error="continue")
    assert fit([callback], logger, max_epochs=1).global_step == N_BATCHES
    assert [(name, step) for name, _, step, _ in logger.entries] == [("A/Error", 3), ("A/Error", 5)]
    assert "The evaluation 'A' failed at step 3" in caplog.text


def test_what_else_to_do_about_an_error_is_refused() -> None:
    with pytest.raises(ValueError, match="`on_error` must be 'stop' or 'continue', got 'ignore'"):
        EvaluationCallback("A", "1 epoch", DisturbingEvaluation(), on_error="ignore")


@pytest.mark.parametrize(("name", "error"), [(None, TypeError), (3, TypeError), ("", ValueError)])
def test_a_name_that_nothing_can_be_logged_under_is_refused(name: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="`name` must"):
        EvaluationCallback(name, "1 epoch", DisturbingEvaluation())


class SequenceEvaluation(DisturbingEvaluation):
    """Gives one number after another."""

    def __init__(self, *values: float) -> None:
        self.values = list(values)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        return LogEntry(SCALARS_ENTRY, {"x": self.values.pop(0)})


def read_step(path: Any) -> int:
    return torch.load(path, weights_only=True)["global_step"]


@pytest.mark.parametrize(("mode", "step"), [("max", 3), ("min", 4)])
def test_the_best_checkpoint_is_that_at_which_the_metric_was_best(mode: Any, step: int, tmp_path: Any) -> None:
    values = [2.0, 1.0, 3.0, -1.0, float("nan")]
    evaluation = EvaluationCallback("A/B", "1 iteration", SequenceEvaluation(*values))
    fit([evaluation, BestCheckpoint(str(tmp_path), "A/B/x", mode)], max_epochs=1, checkpoint=True)
    assert [path.name for path in tmp_path.glob("*.ckpt")] == ["best.ckpt"]
    assert read_step(tmp_path / "best.ckpt") == step


def test_the_best_checkpoint_after_a_resume_is_better_than_the_one_before(tmp_path: Any) -> None:
    def callbacks(*values: float) -> list[Callback]:
        evaluation = EvaluationCallback("A", "1 epoch", SequenceEvaluation(*values))
        return [evaluation, BestCheckpoint(str(tmp_path), "A/x"), PeriodicCheckpoint(str(tmp_path), "1 epoch")]

    fit(callbacks(2.0), max_epochs=1, checkpoint=True)
    fit(callbacks(1.0), ckpt_path=tmp_path / "last.ckpt", max_epochs=2, checkpoint=True)
    assert read_step(tmp_path / "best.ckpt") == 5
    assert read_step(tmp_path / "last.ckpt") == 10


def test_without_a_metric_there_is_no_best_checkpoint(tmp_path: Any) -> None:
    evaluation = EvaluationCallback("A", "1 epoch", DisturbingEvaluation())
    fit([evaluation, BestCheckpoint(str(tmp_path), None)], max_epochs=1, checkpoint=True)
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_are_kept_every_so_often_or_the_last_alone(tmp_path: Any) -> None:
    every = PeriodicCheckpoint(str(tmp_path), "2 iterations", keep_all=True)
    fit([every, PeriodicCheckpoint(str(tmp_path), "3 iterations")], max_epochs=1, checkpoint=True)
    names = ["last.ckpt", "step-00000002.ckpt", "step-00000004.ckpt", "step-00000005.ckpt"]
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == names
    assert [read_step(tmp_path / name) for name in names] == [5, 2, 4, 5]


def test_two_callbacks_of_one_kind_are_told_apart_in_a_checkpoint(tmp_path: Any) -> None:
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
    fit(make_callbacks(2.0, 3.0, 1.0, 0.0, 2.0), logger, max_epochs=1, checkpoint=True)
    assert (read_step(tmp_path / "best.ckpt"), read_step(tmp_path / "worst.ckpt")) == (2, 4)
    assert {"best", "worst", "last"} <= set(logger.kept)
    logger = KeepingLogger()
    fit(make_callbacks(2.0, 3.0, 1.0, -1.0, 2.0), logger, tmp_path / "last.ckpt", max_epochs=2, checkpoint=True)
    assert (read_step(tmp_path / "best.ckpt"), read_step(tmp_path / "worst.ckpt")) == (2, 9)
    assert [step for name, _, step, _ in logger.entries if name == "Train"] == [6, 7, 9, 10, 10]


def test_two_best_checkpoints_in_one_file_are_refused(tmp_path: Any) -> None:
    twice = [BestCheckpoint(str(tmp_path), "A"), BestCheckpoint(str(tmp_path), "B")]
    with pytest.raises(ValueError, match=r"by 'A' and by 'B' would both be 'best.ckpt'.*another `filename`"):
        fit(twice, max_epochs=1, checkpoint=True)


@pytest.mark.parametrize("filename", ["", "a/b", "../best", "/best"])
def test_a_file_name_that_is_none_is_refused(filename: str) -> None:
    with pytest.raises(ValueError, match="`filename` must be the name of a file"):
        BestCheckpoint("checkpoints", "A", filename=filename)


class Breaker(Callback):
    """Breaks off the training at some batch."""

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
def test_a_training_that_breaks_off_leaves_its_latest_weights(exception: BaseException, tmp_path: Any) -> None:
    logger = KeepingLogger()
    saving = [PeriodicCheckpoint(str(tmp_path), "1 epoch"), BestCheckpoint(str(tmp_path), "A")]
    evaluation = EvaluationCallback("A", "1 iteration", DisturbingEvaluation())
    with pytest.raises((SystemExit, RuntimeError)):
        fit([Breaker(3, exception), evaluation, *saving], logger, max_epochs=1, checkpoint=True)
    expected = fit([], max_epochs=1, max_steps=3).lightning_module.state_dict()
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)
    torch.testing.assert_close(last["state_dict"], dict(expected), rtol=0, atol=0)
    assert (last["global_step"], last["counters"]) == (3, {"iteration": 3})
    assert sorted(logger.kept) == ["best", "last"]
    resumed = fit([], ckpt_path=tmp_path / "last.ckpt", max_epochs=2)
    assert (resumed.global_step, resumed.lightning_module.counters) == (10, {"iteration": 10})


def test_an_evaluation_that_fails_leaves_the_weights_that_it_failed_on(tmp_path: Any) -> None:
    failing = EvaluationCallback("A", "3 iterations", FailingEvaluation())
    with pytest.raises(RuntimeError, match="nothing to see"):
        fit([failing, PeriodicCheckpoint(str(tmp_path), "1 epoch")], max_epochs=1, checkpoint=True)
    assert read_step(tmp_path / "last.ckpt") == 3


def test_weights_that_are_not_finite_take_no_checkpoint_s_place(tmp_path: Any) -> None:
    saving = PeriodicCheckpoint(str(tmp_path), "2 iterations")
    with pytest.raises(RuntimeError, match="broken"):
        fit([Breaker(3, RuntimeError("broken"), spoils=True), saving], max_epochs=1, checkpoint=True)
    assert read_step(tmp_path / "last.ckpt") == 2


def test_a_checkpoint_is_saved_at_a_whole_optimizer_step_alone(tmp_path: Any) -> None:
    options: dict[str, Any] = {"max_epochs": 1, "checkpoint": True, "accumulate_grad_batches": 2}
    fit([PeriodicCheckpoint(str(tmp_path / "every"), "1 iteration", keep_all=True)], **options)
    assert sorted(read_step(path) for path in (tmp_path / "every").glob("*.ckpt")) == [1, 2, 3]
    for hook, steps in (("on_train_batch_start", [1]), ("on_after_backward", [])):  # gradients are gathered by then
        place = tmp_path / hook
        breaker = Breaker(2, RuntimeError("broken"), hook=hook)
        with pytest.raises(RuntimeError, match="broken"):
            fit([breaker, PeriodicCheckpoint(str(place), "1 epoch")], **options)
        assert [read_step(path) for path in place.glob("*.ckpt")] == steps


def test_an_optimizer_step_that_breaks_off_half_way_is_not_saved(tmp_path: Any, monkeypatch: Any) -> None:
    n_steps = 0

    def step(optimizer: Any, closure: Callable[[], Any]) -> None:
        nonlocal n_steps
        n_steps += 1
        closure()
        if n_steps == 4:
            raise RuntimeError("broken")

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    with pytest.raises(RuntimeError, match="broken"):
        fit([PeriodicCheckpoint(str(tmp_path), "2 iterations")], max_epochs=1, checkpoint=True)
    assert read_step(tmp_path / "last.ckpt") == 2


class AveragedAtEpochs(WeightAveraging):
    """Takes in the weights at the end of each epoch, after the last batch."""

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        return epoch_idx is not None


def evaluate_weights(state: Mapping[str, Tensor]) -> float:
    model = TinyModel()
    model.load_state_dict({name.removeprefix("model."): value for name, value in state.items()})
    return run_evaluation(ELBOEvaluation("train"), TinyOptimization(model, make_data())).value


@pytest.mark.parametrize("averaging_first", [True, False])
@pytest.mark.parametrize("make_averaging", [lambda: EMAWeightAveraging(decay=0.9), AveragedAtEpochs])
def test_averaged_weights_are_those_that_are_evaluated_saved_and_kept(
    make_averaging: Callable[[], WeightAveraging], averaging_first: bool, tmp_path: Any
) -> None:
    logger = RecordingLogger()
    callbacks: list[Callback] = [make_averaging(), EvaluationCallback("ELBO", "2 iterations", ELBOEvaluation("train"))]
    saved = [BestCheckpoint(str(tmp_path), "ELBO"), PeriodicCheckpoint(str(tmp_path), "1 iteration")]
    # 10 steps: the last one is evaluated before the second epoch is over
    trainer = fit([*(callbacks if averaging_first else callbacks[::-1]), *saved], logger, max_epochs=2, checkpoint=True)
    logged = [value for _, value, _, _ in logger.entries]
    best, last = (torch.load(tmp_path / name, weights_only=True) for name in ("best.ckpt", "last.ckpt"))
    assert evaluate_weights(best["state_dict"]) == max(logged)
    assert evaluate_weights(last["state_dict"]) == logged[-1]
    assert evaluate_weights(trainer.lightning_module.state_dict()) == logged[-1]


def test_an_evaluation_of_averaged_weights_changes_no_training() -> None:
    def train(*others: Callback) -> Mapping[str, Tensor]:
        recorder = WeightRecorder()
        fit([EMAWeightAveraging(decay=0.9), *others, recorder], max_epochs=2)
        return recorder.weights

    with_evaluation = train(EvaluationCallback("ELBO", "1 iteration", ELBOEvaluation("train")))
    torch.testing.assert_close(with_evaluation, train(), rtol=0, atol=0)


class WeightRecorder(Callback):
    """Keeps the weights that are trained, as they are at the end of each epoch."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        self.weights = {name: value.clone() for name, value in pl_module.state_dict().items()}


def test_checkpoints_are_given_to_the_loggers_that_keep_them(tmp_path: Any) -> None:
    logger = KeepingLogger()
    evaluation = EvaluationCallback("A", "1 epoch", DisturbingEvaluation())
    last, best = PeriodicCheckpoint(str(tmp_path), "2 iterations"), BestCheckpoint(str(tmp_path), "A")
    fit([evaluation, last, best], logger, max_epochs=1, checkpoint=True)
    assert sorted(logger.kept) == ["best", "last"]


def test_the_bar_shows_the_epoch_the_steps_and_the_losses(capsys: pytest.CaptureFixture[str]) -> None:
    fit([ProgressBar()], max_epochs=2)
    output = capsys.readouterr().out
    assert "epoch 2/2: 100%" in output
    assert "10/10" in output
    assert "loss=" in output
    assert "step/s" in output


def test_the_bar_knows_no_end_where_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    fit([ProgressBar()], max_epochs=-1, max_time={"seconds": 1})
    assert "epoch " in capsys.readouterr().out


class Readers(Dataset[dict[str, Tensor]]):
    """Tells which process reads a datum."""

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
def test_an_evaluation_reads_with_the_workers_of_the_training(num_workers: int) -> None:
    logger = RecordingLogger()
    procedure = AdamBatchOptimization(TinyModel(), {"train": Readers()}, num_workers, batch_size=10, lr=0.01)
    trainer = Trainer(
        accelerator="cpu",
        callbacks=[EvaluationCallback("Readers", "1 epoch", CountReaders())],
        logger=logger,
        max_epochs=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(procedure)
    assert [value for name, value, _, _ in logger.entries if name == "Readers"] == [num_workers]
