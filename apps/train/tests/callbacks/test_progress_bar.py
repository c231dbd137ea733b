import os

import pytest
import torch

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


@pytest.mark.parametrize(("columns", "n_shown"), [(80, 1), (200, 3)])
def test_the_bar_keeps_its_width_and_leaves_out_quantities_for_which_there_is_no_room(
    columns: int, n_shown: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((columns, 30)))
    quantities = {name: torch.tensor(123.456) for name in ("loss", "reconstruction", "regularization")}
    monkeypatch.setattr("frame_train.callbacks.progress_bar.read_quantities", lambda *_: quantities)
    fit_tiny(ProgressBar(), max_epochs=1)
    line = capfd.readouterr().out.rstrip().rpartition("\r")[2]
    assert len(line) <= columns
    assert "|██████████|" in line
    assert line.endswith(", " + ", ".join(f"{name}=123.5" for name in list(quantities)[:n_shown]) + "]")
