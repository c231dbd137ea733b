from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import EMAWeightAveraging, WeightAveraging
from torch import Tensor

from doubles import RecordingLogger
from frame_core import SCALARS_ENTRY, Evaluation, LinearWarmup, LogEntry, run_evaluation
from frame_core.testing import TinyModel, TinyOptimization
from frame_eval import ELBOEvaluation
from frame_train.callbacks import BestCheckpoint, EvaluationCallback, PeriodicCheckpoint
from trainers import fit, fit_tiny, ignore_lightning_warnings, make_tiny_optimization, make_tiny_split

pytestmark = ignore_lightning_warnings


class AveragedAtEpochs(WeightAveraging):
    """Updates the average at the end of each epoch, after the last batch."""

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        return epoch_idx is not None


def evaluate_weights(state: Mapping[str, Tensor]) -> float:
    model = TinyModel()
    model.load_state_dict({name.removeprefix("model."): value for name, value in state.items()})
    return run_evaluation(ELBOEvaluation("train"), TinyOptimization(model, {"train": make_tiny_split(48)})).value


@pytest.mark.parametrize("averaging_first", [True, False])
@pytest.mark.parametrize("make_averaging", [lambda: EMAWeightAveraging(decay=0.9), AveragedAtEpochs])
def test_averaged_weights_are_evaluated_saved_and_kept(
    make_averaging: Callable[[], WeightAveraging], averaging_first: bool, tmp_path: Any
) -> None:
    logger = RecordingLogger()
    callbacks: list[Callback] = [make_averaging(), EvaluationCallback("ELBO", "2 iterations", ELBOEvaluation("train"))]
    saved = [BestCheckpoint(str(tmp_path), "ELBO"), PeriodicCheckpoint(str(tmp_path), "1 iteration")]
    # the last of the 10 steps is evaluated before the second epoch ends
    trainer = fit_tiny(*(callbacks if averaging_first else callbacks[::-1]), *saved, logger=logger, max_epochs=2)
    logged = [value for _, value, _, _ in logger.entries]
    best, last = (torch.load(tmp_path / name, weights_only=True) for name in ("best.ckpt", "last.ckpt"))
    assert evaluate_weights(best["state_dict"]) == max(logged)
    assert evaluate_weights(last["state_dict"]) == logged[-1]
    assert evaluate_weights(trainer.lightning_module.state_dict()) == logged[-1]


def test_an_evaluation_of_averaged_weights_does_not_change_the_training() -> None:
    def train(*others: Callback) -> Mapping[str, Tensor]:
        recorder = WeightRecorder()
        fit_tiny(EMAWeightAveraging(decay=0.9), *others, recorder, max_epochs=2)
        return recorder.weights

    with_evaluation = train(EvaluationCallback("ELBO", "1 iteration", ELBOEvaluation("train")))
    torch.testing.assert_close(with_evaluation, train(), rtol=0, atol=0)


class Scheduled(TinyModel):
    """A tiny model with a schedule."""

    def __init__(self) -> None:
        super().__init__()
        self.beta = LinearWarmup(start=0.0, end=1.0, over="10 iterations")


class StateRecorder(Callback):
    """Records the state of each step."""

    def __init__(self) -> None:
        self.states: list[Mapping[str, Tensor]] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *arguments: Any) -> None:
        self.states.append({name: value.clone() for name, value in pl_module.model.state_dict().items()})


class BetaEvaluation(Evaluation):
    """Evaluates to the value of the schedule, and a weight."""

    def evaluate(self, optimization: Any) -> LogEntry:
        model = optimization.model
        return LogEntry(SCALARS_ENTRY, {"beta": model.beta().item(), "shift": model.shift.mean().item()})


@pytest.mark.parametrize("n_steps", [7, 10])
def test_an_average_of_weights_leaves_schedules_alone(n_steps: int, tmp_path: Any) -> None:
    logger, recorder = RecordingLogger(), StateRecorder()
    evaluation = EvaluationCallback("Beta", "1 iteration", BetaEvaluation())
    saved = PeriodicCheckpoint(str(tmp_path), "1 epoch")
    callbacks = (EMAWeightAveraging(decay=0.9), evaluation, saved, recorder)
    trainer = fit(lambda: make_tiny_optimization(Scheduled()), *callbacks, max_steps=n_steps, logger=logger)
    average = recorder.states[0]["shift"]
    for step, state in enumerate(recorder.states):
        average = average if step == 0 else 0.9 * average + 0.1 * state["shift"]
        entry = logger.entries[step][1]
        assert entry["beta"] == pytest.approx(step / 10)
        assert entry["shift"] == pytest.approx(average.mean().item())
        assert state["beta.value"].item() == pytest.approx(step / 10)
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    for weights in (last, trainer.lightning_module.state_dict()):
        assert weights["model.beta.value"].item() == pytest.approx((n_steps - 1) / 10)
        torch.testing.assert_close(weights["model.shift"], average)


class WeightRecorder(Callback):
    """Records the trained weights at the end of each epoch."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        self.weights = {name: value.clone() for name, value in pl_module.state_dict().items()}
