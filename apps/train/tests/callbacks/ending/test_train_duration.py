from typing import Any

import pytest
from pytorch_lightning import Trainer

from doubles import ManualTime, SecondPerStep
from frame_train.callbacks import TrainDurationCallback
from trainers import fit_tiny, ignore_lightning_warnings

pytestmark = ignore_lightning_warnings


def make_run_for(train_for: str, **options: Any) -> Trainer:
    return fit_tiny(TrainDurationCallback(train_for), **{"max_epochs": -1, **options})


@pytest.mark.parametrize(
    ("train_for", "n_steps"), [("7 iterations", 7), ("2 epochs", 10), ("1.4 epochs", 7), ("3 global_steps", 3)]
)
def test_the_training_ends_after_its_duration(train_for: str, n_steps: int) -> None:
    assert make_run_for(train_for).global_step == n_steps


def test_a_duration_in_seconds_ends_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    step = SecondPerStep(ManualTime(monkeypatch))
    assert fit_tiny(step, TrainDurationCallback("7 seconds"), max_epochs=-1).global_step == 7


def test_a_resumed_training_lasts_for_the_remaining_duration(tmp_path: Any) -> None:
    fit_tiny(TrainDurationCallback("8 iterations"), max_epochs=1).save_checkpoint(tmp_path / "a.ckpt")
    assert make_run_for("8 iterations", resume_from=tmp_path / "a.ckpt").global_step == 8
