import csv
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from frame_train import load_run
from processes import Commands, ForkServer
from runs import SMALL_VAE, TWO_STEPS, find_run, read_entries

Train = Callable[..., Any]
METRICS = {"ELBO/Validation", "ELBO/Train", "Train/loss", "Train/reconstruction", "Train/regularization"}
IMAGES = {"Images/Reconstructions", "Images/Samples"}


@pytest.mark.parametrize("logging", ["none", "tensorboard", "wandb"])
def test_a_run_writes_metrics_and_images_with_every_logger(train: Train, tmp_path: Path, logging: str) -> None:
    result = train("+experiment=DIGITS_VAE", f"logging={logging}", *TWO_STEPS)
    assert result.code == 0, result
    run = find_run(tmp_path)
    entries = read_entries(run)
    assert {name for entry in entries for name in entry} >= METRICS | IMAGES
    assert {entry["trainer/global_step"] for entry in entries} == {2}
    assert {entry["counters/iteration"] for entry in entries} == {2}
    assert len(list((run / "images").glob("*.png"))) == 2
    assert str(run) in result.output
    assert "ELBO/Validation" in (run / "report.html").read_text()
    assert all(metric in result.output for metric in METRICS)
    assert result.errors == ""


def test_tensorboard_has_the_metrics_and_images_of_the_files(trained: Path) -> None:
    events = EventAccumulator(str(trained)).Reload()
    assert set(events.Tags()["scalars"]) >= METRICS
    assert set(events.Tags()["images"]) == IMAGES
    (elbo,) = (entry["ELBO/Validation"] for entry in read_entries(trained) if "ELBO/Validation" in entry)
    assert [(event.step, event.value) for event in events.Scalars("ELBO/Validation")] == [(4, pytest.approx(elbo))]


def test_mnist_vae_trains_on_real_mnist(train: Train, tmp_path: Path, data_root: Path) -> None:
    limits = ("trainer.max_epochs=1", "trainer.limit_train_batches=20")
    evaluations = ("~evaluation.elbo_train", "evaluation.elbo_validation.evaluator.n_samples=1000")
    result = train("experiment=MNIST_VAE", "logging=none", f"device.data_root={data_root}", *limits, *evaluations)
    assert result.code == 0, result
    (elbo,) = (entry["ELBO/Validation"] for entry in read_entries(find_run(tmp_path)) if "ELBO/Validation" in entry)
    assert -250 < elbo < -180  # the mean image has -204.7, untrained networks -550


def test_the_run_directory_contains_the_config_the_overrides_and_the_weights(trained: Path) -> None:
    assert OmegaConf.load(trained / "config.yaml").trainer.max_epochs == 2
    assert "++trainer.max_epochs=2" in OmegaConf.load(trained / "overrides.yaml")
    checkpoint = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 4
    assert checkpoint["counters"] == {"iteration": 4}
    assert "model.encoder.network.1.0.weight" in checkpoint["state_dict"]


def test_runs_with_one_seed_are_equal_and_another_seed_differs(train: Train, tmp_path: Path) -> None:
    losses = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train("+experiment=DIGITS_VAE", "logging=none", f"run.name={name}", f"seed={seed}", *TWO_STEPS)
        (run,) = (tmp_path / "runs" / "DIGITS" / name).iterdir()
        losses.append([entry["Train/loss"] for entry in read_entries(run) if "Train/loss" in entry])
    assert losses[0] == losses[1] != losses[2]


def test_evaluations_use_the_model_that_is_trained(train: Train, tmp_path: Path) -> None:
    """A copy of the model would stay at its first value."""
    arguments = ("logging=none", "trainer.max_epochs=4", "evaluation.elbo_train.evaluate_every=2 epochs")
    train("+experiment=DIGITS_VAE", *arguments)
    first, last = (entry["ELBO/Train"] for entry in read_entries(find_run(tmp_path)) if "ELBO/Train" in entry)
    assert last > first


def test_logged_images_have_dark_and_bright_pixels(trained: Path) -> None:
    (image,) = (trained / "images").glob("*Reconstructions*.png")
    pixels = torch.tensor(list(Image.open(image).convert("L").tobytes()))
    assert pixels.min() < 30
    assert pixels.max() > 220


def test_an_unknown_device_name_is_refused_and_the_devices_are_listed(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVICE_NAME", "cluster")
    result = train("+experiment=DIGITS_VAE")
    assert result.code == 2
    assert "`cluster` (from the variable DEVICE_NAME" in result.errors
    assert "default, laptop, slurm, workstation" in result.errors


@pytest.mark.parametrize("key", ["experiments_root", "data_root"])
def test_a_folder_that_cannot_be_written_is_refused(train: Train, tmp_path: Path, key: str) -> None:
    (tmp_path / "file").write_text("")
    result = train("+experiment=MNIST_VAE", f"device.{key}={tmp_path / 'file'}")
    assert result.code == 2
    assert "can't be written" in result.errors
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def run_on_terminal(commands: Commands, *arguments: str, **variables: str) -> str:
    """Run `train` on a terminal, and return its output."""
    terminal, child = pty.openpty()
    name = os.ttyname(child)
    command = commands.start(*arguments, terminal=name, **variables)
    command.wait_until(lambda: os.readlink(f"/proc/{command.pid}/fd/2") == name)
    os.close(child)
    output = b""
    while True:
        try:
            block = os.read(terminal, 65536)
        except OSError:  # the process has closed its side
            break
        output += block
    os.close(terminal)
    assert command.wait() == 0, output.decode()
    return output.decode()


def test_without_an_account_a_run_logs_offline_and_prints_only_how_to_sync(
    fork_server: ForkServer, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    arguments = ("+experiment=DIGITS_VAE", *TWO_STEPS, f"device.experiments_root={tmp_path / 'runs'}")
    variables = {"HOME": str(tmp_path / "home"), "TERM": "dumb", "WANDB_MODE": ""}
    output = run_on_terminal(Commands(fork_server, here), *arguments, **variables)
    run = find_run(tmp_path)
    lines = [line.strip() for line in output.replace("\r", "\n").splitlines() if line.strip()]
    offline = [line for line in lines if "wandb login" in line]
    assert len(offline) == 1
    assert "wandb sync" in offline[0]
    unexpected = [
        line
        for line in lines
        if not line.startswith(("DIGITS", "├", "└", "│", "┏", "┃", "┡", "epoch", "Run directory:", "Report:"))
    ]
    assert unexpected == offline
    assert list(run.rglob("*.wandb"))
    assert list(here.iterdir()) == []


def test_old_config_keys_work_and_their_new_names_are_printed(train: Train, tmp_path: Path) -> None:
    arguments = ("+trainer.gpus=0", "+trainer.checkpoint_callback=false")
    result = train("+experiment=DIGITS_VAE", "logging=none", *TWO_STEPS, *arguments)
    assert result.code == 0, result
    assert len(result.errors.splitlines()) == 2
    assert "`accelerator: cpu`" in result.errors
    assert "`enable_checkpointing: false`" in result.errors
    assert not (find_run(tmp_path) / "checkpoints").exists()


def test_the_older_name_of_the_folder_of_runs_is_understood(train: Train, tmp_path: Path) -> None:
    result = train("+experiment=DIGITS_VAE", "logging=none", *TWO_STEPS, f"device.runs_root={tmp_path / 'mine'}")
    assert result.code == 0, result
    assert result.errors == "`device.runs_root` is an old name: it is now `device.experiments_root`.\n"
    assert find_run(tmp_path).is_relative_to(tmp_path / "mine")


@pytest.mark.parametrize("removal", ["~callbacks.progress_bar", "trainer.enable_progress_bar=false"])
def test_the_progress_bar_can_be_turned_off(train: Train, removal: str) -> None:
    result = train("+experiment=DIGITS_VAE", "logging=none", *TWO_STEPS, removal)
    assert result.code == 0, result
    assert "epoch 1/1" not in result.output


def test_train_for_takes_precedence_over_max_epochs(train: Train, tmp_path: Path) -> None:
    result = train("+experiment=DIGITS_VAE", "logging=none", "train_for=25 iterations", "trainer.max_epochs=1")
    assert result.code == 0, result
    assert read_entries(find_run(tmp_path))[-1]["trainer/global_step"] == 25


def test_a_schedule_may_replace_a_number(train: Train, tmp_path: Path) -> None:
    schedule = "params.beta={_target_:frame_core.LinearWarmup,start:0.0,end:1.0,over:4 iterations}"
    result = train("+experiment=DIGITS_VAE", "logging=none", schedule, *TWO_STEPS)
    assert result.code == 0, result
    checkpoint = torch.load(find_run(tmp_path) / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["state_dict"]["model.beta.value"] == 0.25  # at the second of four steps


def test_environment_values_are_not_logged(train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_SECRET", "do-not-show-this")
    monkeypatch.setenv("WANDB_MODE", "offline")
    train("+experiment=DIGITS_VAE", "logging=wandb", "+params.token=${oc.env:PLANTED_SECRET}", *TWO_STEPS)
    written = [path for path in find_run(tmp_path).rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if b"do-not-show-this" in path.read_bytes()]


@pytest.mark.slow
def test_an_interrupted_run_saves_a_checkpoint_and_reports_its_step(tmp_path: Path) -> None:
    keep = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    command = [sys.executable, "-m", "frame_train", "+experiment=DIGITS_VAE", "logging=none", "trainer.max_epochs=-1"]
    with subprocess.Popen(
        [*command, f"device.experiments_root={tmp_path}"],
        env=keep,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        while not list(tmp_path.rglob("metrics.jsonl")):
            time.sleep(0.1)
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert "stopped by SIGINT at global step" in errors
    assert "Traceback" not in errors
    checkpoint = torch.load(find_run(tmp_path) / "checkpoints" / "last.ckpt", weights_only=True)
    assert f"stopped by SIGINT at global step {checkpoint['global_step']};" in errors  # nothing is lost


def test_lightning_callbacks_can_monitor_evaluations(train: Train, tmp_path: Path) -> None:
    stopping = (
        "{_target_:pytorch_lightning.callbacks.EarlyStopping,monitor:ELBO/Validation,mode:max,stopping_threshold:-1e6}"
    )
    result = train(
        "+experiment=DIGITS_VAE",
        "logging=none",
        "trainer.max_epochs=5",
        "trainer.limit_train_batches=2",
        "evaluation.elbo_validation.evaluate_every=1 epoch",
        f"+callbacks.stopping={stopping}",
    )
    assert result.code == 0, result
    assert read_entries(find_run(tmp_path))[-1]["trainer/global_step"] == 2


@pytest.mark.parametrize("name", ["日本語 ~50%", "~"])
def test_a_run_has_any_printable_name_that_a_folder_may_have(
    train: Train, evaluate: Train, tmp_path: Path, name: str
) -> None:
    root = tmp_path / name
    arguments = ("logging=none", "trainer.max_epochs=1", "trainer.limit_train_batches=1")
    result = train(*SMALL_VAE, *arguments, f"run.name={name}", f"device.experiments_root={root}")
    assert result.code == 0, result
    run = find_run(root)
    assert run.parent == root / "DIGITS" / name
    assert train(f"resume={run}", "trainer.max_epochs=2").code == 0
    assert evaluate(f"run={run}").code == 0
    assert load_run(run).global_step == 2


EARLY_STOPPING = "+callbacks.stopping={{_target_:pytorch_lightning.callbacks.EarlyStopping,monitor:{},patience:1}}"


def test_early_stopping_can_monitor_the_training_loss_of_each_epoch(train: Train, tmp_path: Path) -> None:
    arguments = ("logging=none", "trainer.max_epochs=9", "trainer.limit_train_batches=2")
    result = train(*SMALL_VAE, *arguments, EARLY_STOPPING.format("Train/loss,min_delta:1000"))
    assert result.code == 0, result
    entries = read_entries(find_run(tmp_path))
    assert [entry["trainer/global_step"] for entry in entries if "Train/loss" in entry] == [2, 4]


@pytest.mark.parametrize(
    ("metric", "messages"),
    [
        ("nothing", ["`callbacks.stopping.monitor`: nothing logs 'nothing', only"]),
        ("Train/los", ["compares 'Train/los' after each epoch", "only 'Train/loss'", "Did you mean `Train/loss`?"]),
        ("ELBO/Validation", ["compares 'ELBO/Validation' after each epoch", "evaluate it every '1 epoch'"]),
    ],
)
def test_early_stopping_on_a_metric_that_is_not_logged_is_reported(
    train: Train, metric: str, messages: list[str]
) -> None:
    arguments = ("logging=none", "trainer.max_epochs=9", "trainer.limit_train_batches=2")
    result = train(*SMALL_VAE, *arguments, EARLY_STOPPING.format(metric))
    assert result.code == 2, result
    assert len(result.errors.splitlines()) <= 3
    for message in messages:
        assert message in result.errors


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["trainer.max_steps=2"], "`trainer.max_steps=2` is reached."),
        (["trainer.max_time={seconds:0}"], "`trainer.max_time` is over."),
        (
            [
                *("+callbacks=early_stopping", "callbacks.early_stopping.patience=1"),
                *("callbacks.early_stopping.min_delta=1000", "evaluation.elbo_validation.evaluate_every=2 epochs"),
            ],
            "`EarlyStopping`: Monitored metric ELBO/Validation did not improve in the last 1 records.",
        ),
    ],
)
def test_a_training_that_ends_early_prints_why(train: Train, arguments: list[str], reason: str) -> None:
    result = train("+experiment=DIGITS_VAE", "logging=none", "trainer.limit_train_batches=1", *arguments)
    assert result.code == 0, result
    assert "training ended early, at global step " in result.errors
    assert reason in result.errors
    assert result.output.splitlines()[0] == "DIGITS / VAE: 105,312 parameters, cpu, precision 32-true"


def test_a_quick_try_runs_each_evaluation_once_after_five_batches_and_logs_to_no_service(
    train: Train, tmp_path: Path
) -> None:
    result = train("debug=fast", "+experiment=DIGITS_VAE")
    assert result.code == 0, result
    entries = read_entries(find_run(tmp_path))
    assert {entry["trainer/global_step"] for entry in entries} == {5}
    assert {name for entry in entries for name in entry} >= METRICS | IMAGES
    assert OmegaConf.load(find_run(tmp_path) / "config.yaml").logger == {}


def test_overfitting_takes_one_step_in_each_epoch_and_its_loss_falls(train: Train, tmp_path: Path) -> None:
    line = ("+experiment=DIGITS_VAE", "debug=overfit", "trainer.max_epochs=300")
    assert train(*line).code == 0
    first, _, last = read_entries(find_run(tmp_path))
    assert (first["trainer/global_step"], last["trainer/global_step"]) == (100, 300)
    assert last["Train/loss"] < first["Train/loss"] - 3
    result = train(*line, "trainer.overfit_batches=0.5")
    assert result.code == 2
    assert "`trainer.overfit_batches`: `overfit_batches` must be an integer, got 0.5" in result.errors


def test_a_profile_has_a_table_and_a_trace(train: Train, tmp_path: Path) -> None:
    result = train("+experiment=DIGITS_VAE", "debug=profile", "callbacks.profile.active=1")
    assert result.code == 0, result
    assert "aten::addmm" in result.output
    trace = json.loads((find_run(tmp_path) / "profile.json").read_text())
    assert any(event.get("name") == "aten::addmm" for event in trace["traceEvents"])


def test_any_logger_of_lightning_works_by_its_target(
    train: Train, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logger = "+logger.csv={_target_:pytorch_lightning.loggers.CSVLogger,save_dir:'${run.directory}',name:csv}"
    rate = ("+callbacks=lr_monitor", "callbacks.lr_monitor.log_every=2 iterations")
    result = train("+experiment=DIGITS_VAE", "debug=fast", logger, *rate)
    assert result.code == 0, result
    (notice,) = [record.getMessage() for record in caplog.records if record.name == "frame_loggers"]
    assert notice.startswith("CSVLogger can't show 'Images/Reconstructions' (image).")
    with open(find_run(tmp_path) / "csv" / "version_0" / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    rates = [(row["step"], float(row["LearningRate"])) for row in rows if row["LearningRate"]]
    assert rates == [("2", 0.001), ("4", 0.001)]
    assert {name for row in rows for name, value in row.items() if value} >= METRICS
