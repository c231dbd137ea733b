"""The page about a user's own optimization, run as a user would."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pages import DOCS, write_files

EXPERIMENTS = ("scheduled", "plain", "alternating")
N_BATCHES = 21  # of an epoch


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A folder with the code and the configs of the page."""
    write_files(DOCS / "optimization.md", tmp_path)
    yield tmp_path
    sys.modules.pop("my_optimization", None)


def run(train: Callable[..., Any], project: Path, name: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Train an experiment of the page with small networks; return its entries and its last checkpoint."""
    small = ("params.encoder_layers=[8]", "params.decoder_layers=[8]", "logging=none")
    result = train("--config-dir=my_config", f"+experiment={name}", *small)
    assert result.code == 0, result
    (directory,) = (project / "runs" / "my_project" / name).iterdir()
    entries = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return entries, torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_experiment_is_without_a_mistake(name: str, train: Callable[..., Any], project: Path) -> None:
    result = train("--check", "--config-dir=my_config", f"+experiment={name}")
    assert result.code == 0, result
    assert "no mistakes" in result.output


def test_a_config_schedules_the_rates_and_a_weight(train: Callable[..., Any], project: Path) -> None:
    _, checkpoint = run(train, project, "scheduled")
    groups = checkpoint["optimizer_states"][0]["param_groups"]
    options = {(group["initial_lr"], group["weight_decay"]) for group in groups}
    assert options == {(1e-3, 0.01), (1e-3, 0.0), (1e-4, 0.01), (1e-4, 0.0)}
    assert all(group["lr"] == pytest.approx(0.0, abs=1e-12) for group in groups)  # after the last step
    assert checkpoint["state_dict"]["model.beta.value"].item() == 1.0


def test_a_plain_module_trains(train: Callable[..., Any], project: Path) -> None:
    entries, checkpoint = run(train, project, "plain")
    assert checkpoint["counters"] == {"iteration": 2 * N_BATCHES}
    losses = [entry["Train/loss"] for entry in entries if "Train/loss" in entry]
    assert all(loss < 47.0 for loss in losses)


def test_two_optimizers_step_in_turn(train: Callable[..., Any], project: Path) -> None:
    entries, checkpoint = run(train, project, "alternating")
    assert checkpoint["counters"] == {"iteration": 2 * N_BATCHES, "encoder_step": N_BATCHES}
    assert checkpoint["global_step"] == 3 * N_BATCHES
    rates = [state["param_groups"][0]["lr"] for state in checkpoint["optimizer_states"]]
    assert rates == pytest.approx([0.0, 0.0], abs=1e-12)
    steps = [entry["counters/encoder_step"] for entry in entries if "ELBO/Validation" in entry]
    assert steps == [15, N_BATCHES]


IDLE = """
from my_optimization import AlternatingOptimization

class Idle(AlternatingOptimization):
    def training_step(self, batch, batch_idx):
        return self.model.compute_loss(batch, batch_idx)
"""


def test_a_procedure_that_takes_no_step_is_reported(
    train: Callable[..., Any], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "idle.py").write_text(IDLE)
    monkeypatch.syspath_prepend(str(project))
    arguments = ("--config-dir=my_config", "+experiment=alternating", "optimization._target_=idle.Idle")
    result = train(*arguments, "logging=none", "trainer.max_epochs=1")
    assert result.code == 0, result
    assert result.errors.splitlines()[-1].startswith("No optimizer has taken a step")
