"""The project of the guide, in the layout of lightning-hydra-template, and each step of its migration."""

import importlib
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor

from frame_train import Result, load_run
from frame_train import train as train_with
from frame_train.composition.settings import IS_HYDRA_1_3, workspace
from migrations import InOurOrder, are_equal, compose_commands, read_weights
from pages import write_files

PAGE = workspace() / "docs" / "migration" / "from_lightning_hydra_template.md"
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
    for name in [name for name in sys.modules if name.partition(".")[0] == "src"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def template(project: Path) -> SimpleNamespace:
    """The config of the project, its weights after training, and what it has logged last."""
    if not IS_HYDRA_1_3:
        pytest.skip("Hydra 1.4 makes factories that can't be pickled; Lightning removes them from `hparams`")
    with initialize_config_dir(str(project / "configs"), version_base=None), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = compose("train.yaml", ["experiment=example"])
        trainer = importlib.import_module("src.train").train(config)
    return SimpleNamespace(
        weights=read_weights(trainer.lightning_module.state_dict()),
        metrics={name: value.item() for name, value in trainer.callback_metrics.items()},
    )


@pytest.fixture(scope="module")
def runs(project: Path) -> Mapping[str, Result]:
    """A run of each step."""
    options = (f"--config-dir={project / 'my_config'}", "logging=none", f"device.experiments_root={project / 'runs'}")
    return {step: train_with([*options, f"+experiment={step}"]) for step in ("step_1", "example")}


@pytest.fixture(scope="module")
def weights(runs: Mapping[str, Result]) -> Mapping[str, Weights]:
    """The weights after each step, read as a user would."""
    return {
        step: read_weights({f"net.{name.removeprefix('net.')}": value for name, value in model.state_dict().items()})
        for step, result in runs.items()
        for model in [load_run(result.directory, weights="last", allow=["src"]).model]
    }


def test_the_module_of_the_template_has_bit_identical_weights(
    template: SimpleNamespace, weights: Mapping[str, Weights]
) -> None:
    assert are_equal(weights["step_1"], template.weights)


def test_the_order_of_the_batches_is_all_that_changes_with_a_model(
    template: SimpleNamespace, weights: Mapping[str, Weights]
) -> None:
    steps = importlib.import_module("src.step_1")
    modules = importlib.import_module("src.models.digits_module")
    pl.seed_everything(12345)
    module = modules.DigitsLitModule(
        modules.DenseNet(128),
        partial(torch.optim.Adam, lr=1e-3),
        partial(torch.optim.lr_scheduler.StepLR, step_size=2),
    )
    InOurOrder(steps.load_split("train"), 64).fit(module, max_epochs=5, gradient_clip_val=0.5)
    assert are_equal(weights["example"], read_weights(module.state_dict()))
    assert not are_equal(weights["example"], template.weights)


def test_evaluations_replace_the_validation_and_the_test(template: SimpleNamespace, runs: Mapping[str, Result]) -> None:
    last = runs["example"].last
    assert last["Accuracy/Test"] == pytest.approx(template.metrics["test/acc"], abs=0.03)  # other batches
    assert last["Accuracy/Validation"] == pytest.approx(last["Accuracy/Test"], abs=0.05)
    assert {path.name for path in (runs["example"].directory / "checkpoints").glob("*.ckpt")} == {
        "best.ckpt",
        "last.ckpt",
    }


def test_every_command_of_the_page_composes(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    assert compose_commands(PAGE) == 10


def test_a_stored_run_is_evaluated_with_its_best_weights(
    project: Path, runs: Mapping[str, Result], evaluate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    arguments = re.findall(r"`evaluate run=RUN (.*?)`", PAGE.read_text())[0].split()
    result = evaluate(f"run={runs['example'].directory}", *arguments)
    assert result.code == 0, result
    assert "Accuracy/Validation" in result.output
