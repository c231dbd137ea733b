"""A plain `LightningModule`, written without a word of this framework, as the optimization of an experiment."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning import Callback, Trainer

from doubles import RecordingLogger
from frame_eval import ELBOEvaluation
from frame_train import load_run
from frame_train.callbacks import EvaluationCallback, PeriodicCheckpoint, StopOnSignal, TrainDurationCallback
from frame_train.runs.checkpoint_files import find_newest
from trainers import N_BATCHES, Plain, PlainWithOurLoader, fit, ignore_lightning_warnings, make_vae

pytestmark = ignore_lightning_warnings


def fit_plain(*callbacks: Callback, kind: type[Plain] = Plain, **options: Any) -> Trainer:
    return fit(lambda: kind(make_vae()), *callbacks, **options)


@pytest.mark.parametrize(
    ("interval", "steps"),
    [
        ("4 iterations", [4, 8, 12, 15]),
        ("1 epoch", [5, 10, 15]),
        ("1.5 epochs", [8, 15]),
        ("6 global_steps", [6, 12, 15]),
    ],
)
def test_an_interval_is_measured_in_what_the_trainer_counts(interval: str, steps: list[int]) -> None:
    logger = RecordingLogger()
    fit_plain(EvaluationCallback("ELBO", interval, ELBOEvaluation("train")), logger=logger, max_epochs=3)
    assert logger.steps == steps
    assert all(counters == {"iteration": step} for _, _, step, counters in logger.entries)


def test_a_duration_ends_the_training() -> None:
    assert fit_plain(TrainDurationCallback("7 iterations"), max_epochs=-1).global_step == 7


class Interrupted(Callback):
    """Sends a signal to this process in a step."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_train_batch_start(self, trainer: Trainer, *arguments: Any) -> None:
        if trainer.global_step == self._step - 1:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("kind", "resumes_at", "files"),
    [(PlainWithOurLoader, 7, ["last"]), (Plain, N_BATCHES, ["interrupted", "last"])],
)
def test_a_run_that_is_stopped_resumes_there_or_at_the_beginning_of_the_epoch(
    kind: type[Plain], resumes_at: int, files: list[str], tmp_path: Path
) -> None:
    fit_plain(StopOnSignal(), Interrupted(7), PeriodicCheckpoint(str(tmp_path), "1 epoch"), kind=kind, max_epochs=3)
    newest, _ = find_newest(tmp_path)
    assert newest is not None
    assert newest.global_step == resumes_at
    assert sorted(path.stem for path in tmp_path.glob("*.ckpt")) == files


def test_a_training_that_ends_within_an_epoch_saves_its_last_weights(tmp_path: Path) -> None:
    fit_plain(PeriodicCheckpoint(str(tmp_path), "1 epoch"), max_steps=7)
    newest, _ = find_newest(tmp_path)
    assert newest is not None
    assert (newest.path.stem, newest.global_step) == ("last", 7)


MODULE = """
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader


class MyOptimization(pl.LightningModule):
    def __init__(self, model, data, num_workers, batch_size, lr, pin_memory=True):
        super().__init__()
        self.model = model
        self.data = data
        self.num_workers = num_workers
        self.batch_size = batch_size
        self.lr = lr

    def train_dataloader(self):
        return DataLoader(self.data["train"], batch_size=self.batch_size, shuffle=True, num_workers=self.num_workers)

    def training_step(self, batch, batch_idx):
        loss = self.model.compute_loss(batch, batch_idx)
        return {name: value if name == "loss" else value.item() for name, value in loss.items()}

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.model.parameters(), lr=self.lr)
        n_steps = self.trainer.estimated_stepping_batches
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.lr, total_steps=n_steps)
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]
"""
EXPERIMENT = """# @package _global_
defaults:
  - /data: Digits
  - /architectures: Digits
  - /model: VAE
  - /evaluation: [samples, elbo]
  - _self_

params: {z_dim: 2, encoder_layers: [8], decoder_layers: [8], beta: 1.0, batch_size: 300, lr: 1.0e-3}

run: {project: mine, name: plain}

optimization:
  _target_: plain_project.MyOptimization
  model: ${model}
  data: ${data}
  num_workers: ${device.num_workers}
  batch_size: ${params.batch_size}
  lr: ${params.lr}

evaluation:
  samples: {evaluate_every: 7 iterations}
  elbo_validation: {evaluate_every: 1 epoch}
  elbo_train: {evaluate_every: 1 hour}

callbacks:
  training_log: {log_every: 5 iterations}

trainer: {max_epochs: 3}
"""


def test_a_plain_module_is_checked_trained_evaluated_loaded_and_resumed(
    train: Callable[..., Any], evaluate: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain_project.py").write_text(MODULE)
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text(EXPERIMENT)
    monkeypatch.syspath_prepend(tmp_path)
    config = ("--config-dir", str(tmp_path / "conf"))

    checked = train("--check", *config, "+experiment=mine")
    assert (checked.code, "no mistakes" in checked.output) == (0, True), checked.errors
    trained = train(*config, "+experiment=mine", "logging=none")
    assert trained.code == 0, trained.errors
    (directory,) = (tmp_path / "runs" / "mine" / "plain").iterdir()
    entries = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    steps = {
        name: [entry["counters/iteration"] for entry in entries if name in entry]
        for name in ("Images/Samples", "ELBO/Validation", "ELBO/Train", "Train/loss", "Train/regularization")
    }
    assert steps == {
        "Images/Samples": [7, 14, 15],
        "ELBO/Validation": [5, 10, 15],
        "ELBO/Train": [15],
        "Train/loss": [5, 10, 15],
        "Train/regularization": [5, 10, 15],
    }

    run = load_run(directory)
    assert (run.global_step, run.counters) == (15, {"iteration": 15})
    evaluated = evaluate(f"run={directory}")
    assert evaluated.code == 0, evaluated.errors
    last = json.loads((directory / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["ELBO/Train"] == next(entry["ELBO/Train"] for entry in entries if "ELBO/Train" in entry)

    lengthened = train(f"resume={directory}", "trainer.max_epochs=4")
    assert lengthened.code == 2
    assert "`total_steps` of `OneCycleLR` must be at least 20, its number of steps in training, got 15" in (
        lengthened.errors
    )
