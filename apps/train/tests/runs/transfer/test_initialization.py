import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import frame_train
from frame_train import CompositionError, load_run


@pytest.fixture
def arguments(trained: Path, tmp_path: Path) -> list[str]:
    """Arguments of a small training that starts with the weights of a copy of the trained run."""
    return [
        "+experiment=DIGITS_VAE",
        f"initialize_from={shutil.copytree(trained, tmp_path / 'source')}",
        "params.lr=1e-30",
        "evaluation={}",
        "monitor.metric=null",
        "~callbacks.best_checkpoint",
        "logging=none",
        "~callbacks.progress_bar",
        "trainer.limit_train_batches=1",
        "trainer.max_epochs=1",
        f"device.experiments_root={tmp_path / 'runs'}",
    ]


def test_a_run_starts_with_the_weights_of_another_and_does_not_need_it_afterwards(
    arguments: list[str], trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    beta = "params.beta={_target_: frame_core.LinearWarmup, start: 0.0, end: 1.0, over: 4 epochs}"
    directory = frame_train.train([*arguments, beta]).directory
    assert "Loaded 15 weights of " in capsys.readouterr().err
    shutil.rmtree(tmp_path / "source")
    before = load_run(trained).model.state_dict()
    for name, value in load_run(directory).model.state_dict().items():
        if name != "beta.value":
            torch.testing.assert_close(value, before[name])
    assert frame_train.train([f"resume={directory}", "trainer.max_epochs=2"]).status == "complete"
    with pytest.raises(CompositionError, match="`initialize_from` needs a new run"):
        frame_train.train([f"resume={directory}", f"initialize_from={trained}"])


def test_weights_that_do_not_fit_are_refused_or_left_out(
    arguments: list[str], trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*arguments, "params.decoder_layers=[128,255]"]
    with pytest.raises(CompositionError) as caught:
        frame_train.train(arguments)
    for message in ("`beta.value` is unexpected", "and 1 more", "`initialize_strictly=false`", "in the command line"):
        assert message in str(caught.value)
    assert not (tmp_path / "runs").exists()
    directory = frame_train.train([*arguments, "initialize_strictly=false"]).directory
    assert "has shape (256, 128), expected (255, 128)" in capsys.readouterr().err
    model, before = load_run(directory).model, load_run(trained).model
    torch.testing.assert_close(model.encoder.state_dict(), before.encoder.state_dict())


@pytest.mark.parametrize(
    ("experiment", "value", "message"),
    [
        ("DIGITS_VAE", "nowhere", "`initialize_from`: There is no run 'nowhere'"),
        ("DIGITS_VAE", "[a]", "`initialize_from` must be a run directory"),
        ("DIGITS_Classifier", None, "no weight of "),
    ],
)
def test_check_reports_a_run_whose_weights_can_not_be_loaded(
    train: Callable[..., Any], trained: Path, experiment: str, value: str | None, message: str
) -> None:
    where = f"initialize_from={value or trained}"
    result = train("--check", f"+experiment={experiment}", where, "initialize_strictly=false")
    assert result.code == 2
    assert message in result.output + result.errors
