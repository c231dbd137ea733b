import random
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loggers.logger import DummyLogger
from torch import Tensor
from torch.utils.data import default_collate

from frame_core import SCALAR_ENTRY, Evaluation, LogEntry, Model, Optimization
from frame_core.testing import TinyModel, make_tiny_data
from frame_train.callbacks import CumulativeLogCallback, EvaluationCallback, ProgressBar
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

    def log(
        self, name: str, log_entry: LogEntry, global_step: int | None = None, counters: Mapping[str, int] | None = None
    ) -> None:
        self.entries.append((name, log_entry.value, global_step, dict(counters or {})))

    @property
    def steps(self) -> list[int | None]:
        return [step for _, _, step, _ in self.entries]


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


def fit(callbacks: Sequence[Callback], logger: Any = False, ckpt_path: Any = None, **options: Any) -> Trainer:
    torch.manual_seed(0)
    data = {"train": InMemoryDataset(default_collate(make_tiny_data(48)))}
    optimization = AdamBatchOptimization(TinyModel(), data, num_workers=0, batch_size=10, lr=0.01)
    trainer = Trainer(
        accelerator="cpu",
        callbacks=list(callbacks),
        logger=logger,
        enable_checkpointing=False,
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
        enable_model_summary=False,
        **options,
    )
    trainer.fit(optimization, ckpt_path=ckpt_path)
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
