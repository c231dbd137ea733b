from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import EMAWeightAveraging, WeightAveraging
from torch import Tensor

from doubles import RecordingLogger
from frame_core import run_evaluation
from frame_core.testing import TinyModel, TinyOptimization
from frame_eval import ELBOEvaluation
from frame_train.callbacks import BestCheckpoint, EvaluationCallback, PeriodicCheckpoint
from trainers import fit_tiny, ignore_lightning_warnings, make_tiny_split

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


class WeightRecorder(Callback):
    """Records the trained weights at the end of each epoch."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        self.weights = {name: value.clone() for name, value in pl_module.state_dict().items()}
