import pytest

from frame_train.callbacks import ProgressBar, TrainDurationCallback
from trainers import fit_tiny, ignore_lightning_warnings

pytestmark = ignore_lightning_warnings


def test_the_progress_bar_shows_the_epoch_the_steps_and_the_losses(capsys: pytest.CaptureFixture[str]) -> None:
    fit_tiny(ProgressBar(), max_epochs=2)
    output = capsys.readouterr().out
    assert "epoch 2/2: 100%" in output
    assert "10/10" in output
    assert "loss=" in output
    assert "step/s" in output


def test_the_progress_bar_works_without_a_known_end(capsys: pytest.CaptureFixture[str]) -> None:
    fit_tiny(ProgressBar(), TrainDurationCallback("7 iterations"), max_epochs=-1)
    assert "epoch " in capsys.readouterr().out
