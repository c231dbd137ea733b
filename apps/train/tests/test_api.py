import json
import logging
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import OmegaConf
from pytorch_lightning import Callback, LightningModule, Trainer

import frame_train
from frame_core import Evaluation, LogEntry
from frame_train import CompositionError, EvaluationError, Result, TrainingError

SMALL = ("+experiment=DIGITS_VAE", "logging=none", "~callbacks.progress_bar", "trainer.limit_train_batches=2")


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """Arguments of a small training."""
    return [*SMALL, f"device.experiments_root={tmp_path}", "trainer.max_epochs=2"]


class StopAfterStep(Callback):
    """Interrupts the process after the first step."""

    def on_train_batch_end(self, *arguments: Any) -> None:
        signal.raise_signal(signal.SIGINT)


class RaiseAtStep(Callback):
    """Raises an error that a training can't continue after, before the training or after one of its steps."""

    def __init__(self, global_step: int) -> None:
        self._global_step = global_step

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._raise(trainer)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *arguments: Any) -> None:
        self._raise(trainer)

    def _raise(self, trainer: Trainer) -> None:
        if trainer.global_step == self._global_step:
            raise TrainingError("the disk is full")


class Misconfigured(Callback):
    """Does not work with a trainer."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        raise MisconfigurationException("it does not work")


def get_process_state() -> list[Any]:
    """Return what a training changes in its process while it lasts."""
    return [
        [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)],
        list(warnings.filters),
        logging.getLogger("pytorch_lightning").level,
        list(logging.getLogger().handlers),
        GlobalHydra.instance().hydra,
        list(sys.argv),
        list(sys.path),
        list(sys.meta_path),
    ]


def test_train_returns_the_directory_the_metrics_and_the_status(arguments: list[str], tmp_path: Path) -> None:
    changes = ["evaluation.elbo_validation.evaluate_every=1 epoch", "monitor.mode=min"]  # the ELBO increases
    result = frame_train.train([*arguments, *changes])
    assert result.status == "complete"
    assert result.stopped_by is None
    assert result.directory.parent == tmp_path / "DIGITS" / "VAE"
    assert set(result.last) > {"ELBO/Validation", "Train/loss"}
    metrics = frame_train.load_run(result.directory).metrics["ELBO/Validation"].dropna()
    assert result.last["ELBO/Validation"] == metrics.max() == metrics.iloc[-1]
    assert result.best["ELBO/Validation"] == metrics.min() == metrics.iloc[0]


def test_train_leaves_the_process_as_it_was_and_can_be_called_again(arguments: list[str]) -> None:
    before = get_process_state()
    first = frame_train.train(arguments)
    assert get_process_state() == before
    second = frame_train.train(arguments)
    assert second.directory != first.directory
    assert second.last == first.last
    with pytest.raises(CompositionError):
        frame_train.train([*arguments, "params.bta=1"])
    assert get_process_state() == before
    assert OmegaConf.create({"key": "${oc.env:NOT_SET,default}"}).key == "default"


def test_train_resumes_a_run(arguments: list[str]) -> None:
    first = frame_train.train(arguments)
    second = frame_train.train([f"resume={first.directory}", "trainer.max_epochs=3"])
    assert second.directory == first.directory
    assert second.last != first.last
    assert frame_train.train([f"resume={first.directory}"]) == second  # it is complete


def test_evaluate_returns_the_numbers_of_each_checkpoint_and_appends_them_to_the_logs(arguments: list[str]) -> None:
    periodic = ["callbacks/checkpoint@callbacks=[last,periodic]", "callbacks.periodic_checkpoint.save_every=1 epoch"]
    run = frame_train.train([*arguments, *periodic, "monitor.metric=null"])
    before = get_process_state()
    numbers = frame_train.evaluate([f"run={run.directory}", "weights=all", "~evaluation.elbo_train"])
    assert get_process_state() == before
    assert list(numbers) == [2, 4]
    assert numbers[4] == {"ELBO/Validation": run.last["ELBO/Validation"]}
    logged = frame_train.load_run(run.directory).metrics[["trainer/global_step", "ELBO/Validation"]].dropna()
    assert logged.values.tolist()[-2:] == [[step, numbers[step]["ELBO/Validation"]] for step in (2, 4)]


class FailingEvaluation(Evaluation):
    """Raises an error."""

    def __init__(self, evaluate_on: str, n_samples: int, n_latent_samples: int) -> None:
        self.evaluate_on = evaluate_on

    def evaluate(self, optimization: Any) -> LogEntry:
        raise KeyError("nothing there")


def test_a_failed_evaluation_is_an_exception_after_the_others_have_run(trained: Path, tmp_path: Path) -> None:
    directory = shutil.copytree(trained, tmp_path / "run")
    failing = f"evaluation.elbo_train.evaluator={{_target_:{__name__}.FailingEvaluation}}"
    with pytest.raises(EvaluationError, match=r"^`evaluation.elbo_train` failed at step 4: KeyError: 'nothing there'"):
        frame_train.evaluate([f"run={directory}", "+evaluation=elbo", "evaluation.elbo_validation.name=A", failing])
    assert frame_train.load_run(directory).metrics["A"].notna().any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "`run` is missing. Set `run=FOLDER`"),
        (["run=nowhere"], "There is no run 'nowhere'"),
        (["rum=nowhere"], "`evaluate` has no key `rum`, only .* Did you mean `run`?"),
        (["stray"], "`stray` must be `key=value`"),
        (["run=nowhere", "+evaluation=elb"], "`evaluation` has no option `elb`.*Did you mean `elbo`?"),
        (["run=nowhere", "--config-dir=nowhere"], "`--config-dir` must be a folder"),
    ],
)
def test_a_mistake_of_an_evaluation_is_an_exception(wrong: list[str], message: str) -> None:
    with pytest.raises(CompositionError, match=message):
        frame_train.evaluate(wrong)


def test_a_signal_ends_a_training_that_can_be_resumed(arguments: list[str]) -> None:
    result = frame_train.train([*arguments, f"+callbacks.stop._target_={__name__}.StopAfterStep"])
    assert (result.status, result.stopped_by) == ("stopped", signal.SIGINT)
    assert frame_train.train([f"resume={result.directory}", "~callbacks.stop"]).status == "complete"


def test_train_runs_in_a_thread(arguments: list[str]) -> None:
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.append(frame_train.train(arguments)))
    thread.start()
    thread.join()
    assert [result.status for result in results] == ["complete"]


@pytest.mark.parametrize(
    ("wrong", "messages"),
    [
        (["params.bta=1"], ["`params.bta`", "Did you mean `params.beta`?"]),
        (["params.beta=-1"], ["`beta` must be non-negative", "in the command line"]),
        (["params.beta=0.1,1"], ["has several values. Add `-m`"]),
        (["stray"], ["`stray` must be `key=value`"]),
        (["experiment=nothing"], ["`experiment`"]),
        (["resume=nowhere"], ["'nowhere'"]),
    ],
)
def test_a_mistake_is_an_exception_with_the_message_of_the_command(
    arguments: list[str], tmp_path: Path, wrong: list[str], messages: list[str]
) -> None:
    with pytest.raises(CompositionError) as caught:
        frame_train.train([*arguments, *wrong])
    for message in messages:
        assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("function", [frame_train.train, frame_train.evaluate])
def test_arguments_must_be_a_list(function: Any) -> None:
    with pytest.raises(TypeError, match="must be a list"):
        function("+experiment=DIGITS_VAE")


@pytest.mark.parametrize("global_step", [0, 1])
def test_a_failed_training_is_an_exception_and_leaves_its_directory_if_it_began(
    arguments: list[str], tmp_path: Path, global_step: int
) -> None:
    failure = f"+callbacks.fail={{_target_:{__name__}.RaiseAtStep,global_step:{global_step}}}"
    with pytest.raises(TrainingError, match="the disk is full"):
        frame_train.train([*arguments, failure])
    runs = list(tmp_path.rglob("run.json"))
    assert len(runs) == global_step
    assert all(json.loads(run.read_text())["complete"] is False for run in runs)
    assert list(tmp_path.iterdir()) == [path.parents[2] for path in runs]


def test_what_the_trainer_refuses_leaves_nothing(arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(CompositionError, match="`trainer`: it does not work"):
        frame_train.train([*arguments, f"+callbacks.wrong._target_={__name__}.Misconfigured"])
    assert list(tmp_path.iterdir()) == []


def test_importing_the_package_imports_neither_torch_nor_hydra_and_train_is_a_function() -> None:
    program = (
        "import sys, frame_train; assert not {'torch', 'hydra', 'pytorch_lightning'} & set(sys.modules)\n"
        "from frame_train import train; import frame_train.commands.train, types\n"
        "assert isinstance(train, types.FunctionType) and frame_train.train is train"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_place_of_downloads_is_found_from_a_plain_script(tmp_path: Path) -> None:
    program = "from frame_train.runs.location import read_device; print(read_device().experiments_root)"
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert result.stdout.strip().endswith("/runs")
