"""The script of the guide and each step of its migration, trained and compared."""

import importlib
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from frame_train import Result, load_run
from frame_train import train as train_with
from frame_train.composition.settings import workspace
from migrations import SILENT, InOurOrder, are_equal, compose_commands, read_weights
from pages import write_files

PAGE = workspace() / "docs" / "migration" / "from_lightning.md"
MODULES = ("digits_script", "step_1", "step_2", "step_3", "step_4")
STEPS = ("step_1", "step_2", "step_3", "step_4", "digits")

Weights = Mapping[str, Tensor]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The files of the page, in the current folder."""
    folder = tmp_path_factory.mktemp("project")
    write_files(PAGE, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        yield folder
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def script(project: Path) -> SimpleNamespace:
    """The classes of the script, its weights after training, and what it has logged last."""
    module = importlib.import_module("digits_script")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = module.main()
    return SimpleNamespace(
        **vars(module),
        weights=read_weights(trainer.lightning_module.state_dict()),
        metrics={name: value.item() for name, value in trainer.callback_metrics.items()},
    )


@pytest.fixture(scope="module")
def runs(project: Path) -> Mapping[str, Result]:
    """A run of each step."""
    return {
        step: train_with([f"--config-dir={project / 'my_config'}", f"+experiment={step}", "logging=none",
                          "trainer.accelerator=cpu", f"device.experiments_root={project / 'runs'}"])
        for step in STEPS
    }  # fmt: skip


@pytest.fixture(scope="module")
def weights(runs: Mapping[str, Result]) -> Mapping[str, Weights]:
    """The weights after each step."""
    paths = {step: result.directory / "checkpoints" / "last.ckpt" for step, result in runs.items()}
    return {step: read_weights(torch.load(path, weights_only=True)["state_dict"]) for step, path in paths.items()}


@pytest.mark.parametrize("step", ["step_1", "step_2"])
def test_the_module_of_the_script_has_bit_identical_weights(
    step: str, script: SimpleNamespace, weights: Mapping[str, Weights]
) -> None:
    assert are_equal(weights[step], script.weights)


def test_the_order_of_the_batches_is_all_that_changes_with_a_model(
    script: SimpleNamespace, weights: Mapping[str, Weights]
) -> None:
    datamodule = script.DigitsData()
    datamodule.setup()
    pl.seed_everything(0)
    module = script.LitDigits()
    InOurOrder(datamodule.train_set, 64).fit(module, max_epochs=5)
    assert are_equal(weights["step_3"], read_weights(module.state_dict()))
    assert not are_equal(weights["step_3"], script.weights)


def test_evaluations_callbacks_and_loggers_do_not_change_the_weights(weights: Mapping[str, Weights]) -> None:
    assert are_equal(weights["step_4"], weights["step_3"])
    assert are_equal(weights["digits"], weights["step_3"])


def test_evaluations_find_what_the_validation_step_of_the_script_finds(
    script: SimpleNamespace, runs: Mapping[str, Result], weights: Mapping[str, Weights]
) -> None:
    module = script.LitDigits()
    module.net.load_state_dict(weights["step_4"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (found,) = pl.Trainer(accelerator="cpu", **SILENT).validate(module, script.DigitsData(), verbose=False)
    last = runs["step_4"].last
    assert last["Accuracy/Validation"] == pytest.approx(found["val_acc"])
    assert last["Loss/Validation/loss"] == pytest.approx(found["val_loss"])
    assert last["Accuracy/Validation"] == pytest.approx(script.metrics["val_acc"], abs=0.02)  # other batches


def test_the_log_has_what_the_script_logs(script: SimpleNamespace, runs: Mapping[str, Result]) -> None:
    assert runs["step_1"].last["train_loss"] == pytest.approx(script.metrics["train_loss"], abs=0.3)  # another step
    entries = [json.loads(line) for line in (runs["digits"].directory / "metrics.jsonl").read_text().splitlines()]
    names = set().union(*entries)
    assert {"Train/loss", "Accuracy/Validation", "Loss/Validation/loss", "weight_norm"} <= names
    assert any(name.startswith("LearningRate") for name in names)
    assert sorted(path.name for path in (runs["digits"].directory / "checkpoints").glob("*.ckpt")) == [
        "best.ckpt",
        "last.ckpt",
    ]


def test_a_module_that_saves_objects_as_hyper_parameters_can_be_resumed(
    project: Path, runs: Mapping[str, Result]
) -> None:
    result = train_with([f"resume={runs['step_2'].directory}", "trainer.max_epochs=6"])
    assert result.status == "complete"
    stored = torch.load(result.directory / "checkpoints" / "last.ckpt", weights_only=True)
    assert stored["global_step"] == 144
    assert stored["hyper_parameters"] == {"hidden": 128, "lr": 1e-3, "batch_size": 64}


def test_the_model_can_be_loaded_without_the_script(
    project: Path, runs: Mapping[str, Result], weights: Mapping[str, Weights]
) -> None:
    run = load_run(runs["digits"].directory, weights="last", allow=["step_2", "step_3", "step_4"])
    assert are_equal(read_weights(run.model.state_dict()), weights["step_3"])


def test_every_command_of_the_page_composes(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    assert compose_commands(PAGE) == 5


def test_a_notice_says_that_a_validation_step_is_not_called(
    project: Path, train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    result = train("--config-dir=my_config", "+experiment=step_1", "logging=none", "trainer.max_steps=1")
    assert result.errors.splitlines()[0].startswith("`Step1.validation_step` is never called: the evaluations")
    assert "Skipping val loop" not in result.errors
