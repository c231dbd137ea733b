"""Searches by the command `train --search`."""

import csv
import json
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from omegaconf import OmegaConf

from processes import Commands
from runs import SMALL_VAE, TWO_STEPS, read_description

Train = partial[Any]

BETA = {"params.beta": {"min": 0.1, "max": 1.0}}
COMMAND = (*SMALL_VAE, *TWO_STEPS, "logging=none")


def write_space(folder: Path, **content: Any) -> str:
    path = folder / "space.yaml"
    path.write_text(yaml.safe_dump({"trials": 1, "parameters": BETA, **content}))
    return str(path)


def list_runs(root: Path) -> list[Path]:
    return sorted((root / "runs" / "DIGITS" / "VAE").iterdir())


def read_results(root: Path) -> list[dict[str, Any]]:
    return json.loads((root / "runs" / "searches" / "space" / "results.json").read_text())


def test_a_search_trains_a_run_for_each_trial_and_ends_with_its_results(train: Train, tmp_path: Path) -> None:
    choices = {"params.beta": {"values": [1, -1, 0.5]}}
    sampler = {"_target_": "optuna.samplers.BruteForceSampler", "seed": 1}
    space = write_space(tmp_path, trials=3, parameters=choices, sampler=sampler)
    result = train("--search", space, *COMMAND)  # a mistake in the first trial ends the search
    assert result.code == 2, result
    assert "`beta` must be non-negative, got -1" in result.errors
    result = train("--search", space, *COMMAND)
    assert result.code == 0, result
    results = read_results(tmp_path)
    assert sorted(row["values"]["params.beta"] for row in results) == [-1, 0.5, 1]
    assert [row["state"] for row in results] == ["complete", "complete", "fail"]
    values = [row["ELBO/Validation"] for row in results[:2]]
    assert values == sorted(values, reverse=True)
    for row in results[:2]:
        description = read_description(Path(row["directory"]))
        assert description["last"]["ELBO/Validation"] == row["ELBO/Validation"]
        assert description["params"]["beta"] == row["values"]["params.beta"]
        assert OmegaConf.load(Path(row["directory"]) / "config.yaml").run.group == "space"
    with open(tmp_path / "runs" / "searches" / "space" / "results.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["params.beta"]) for row in rows] == [row["values"]["params.beta"] for row in results]

    page = (tmp_path / "runs" / "searches" / "space" / "report.html").read_text()
    assert all(f"{Path(row['directory']).name}/report.html" in page for row in results[:2])

    result = train("--search", space, *COMMAND)  # the search is complete
    assert result.code == 0, result
    assert read_results(tmp_path) == results
    assert len(list_runs(tmp_path)) == 2
    result = train("--search", space, *COMMAND, "params.lr=0.01")
    assert result.code == 2, result
    assert "Name a new study with `search.study=…`." in result.errors


def test_a_trial_is_pruned_by_its_monitored_metric(train: Train, tmp_path: Path) -> None:
    pruner = {"_target_": "optuna.pruners.ThresholdPruner", "lower": 0.0}  # an evidence lower bound is below it
    every_epoch = "evaluation.elbo_validation.evaluate_every=1 epoch"
    space = write_space(tmp_path, pruner=pruner)
    result = train("--search", space, *COMMAND, every_epoch, "trainer.max_epochs=3")
    assert result.code == 1, result  # no trial is complete
    assert "trial 0 is pruned" in result.errors
    assert "Traceback" not in result.errors
    (run,) = list_runs(tmp_path)
    (row,) = read_results(tmp_path)
    assert (row["state"], row["directory"]) == ("pruned", str(run))
    description = read_description(run)
    assert description["complete"] is False
    assert description["last"]["ELBO/Validation"] == row["ELBO/Validation"]
    assert (run / "checkpoints" / "last.ckpt").exists()


STOPPING = """
import os, signal
from pathlib import Path
from pytorch_lightning import Callback

class StopOnce(Callback):
    def on_train_batch_end(self, trainer, *others):
        if trainer.global_step == 1 and not Path("stopped").exists():
            Path("stopped").touch()
            os.kill(os.getpid(), signal.SIGTERM)
"""


def test_the_same_command_continues_a_search_that_was_stopped(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stopping_once.py").write_text(STOPPING)
    monkeypatch.syspath_prepend(tmp_path)
    command = (*COMMAND, "trainer.max_epochs=2", "+callbacks.stopping={_target_:stopping_once.StopOnce}")
    space = write_space(tmp_path)
    result = train("--search", space, *command)
    assert result.code == 143, result
    assert "the same command continues the search" in result.errors
    result = train("--search", space, *command)
    assert result.code == 0, result
    (run,) = list_runs(tmp_path)
    assert read_description(run)["resumed"][0]["global_step"] == 2
    (row,) = read_results(tmp_path)
    assert (row["trial"], row["state"], row["directory"]) == (1, "complete", str(run))


@pytest.mark.slow
def test_two_processes_share_a_search_and_a_killed_trial_is_tried_again(commands: Commands) -> None:
    root = commands.folder
    space = write_space(root, trials=30, parameters={**BETA, "params.z_dim": {"min": 2, "max": 16}})
    command = ("--search", space, *COMMAND, "device.experiments_root=runs")
    first, second = commands.start(*command), commands.start(*command)
    second.wait_until(lambda: second.output.count("Run directory") >= 3)
    second.send(signal.SIGKILL)
    second.wait()
    third = commands.start(*command)
    assert (first.wait(), third.wait()) == (0, 0), first.output + third.output
    results = read_results(root)
    assert len(results) == 30
    assert {row["state"] for row in results} == {"complete"}
    assert len({row["directory"] for row in results}) == 30
    study = optuna.load_study(study_name="space", storage=f"sqlite:///{root / 'runs/searches/space/study.db'}")
    assert {trial.state.name for trial in study.trials if trial.number not in {row["trial"] for row in results}} <= {
        "FAIL"
    }
    assert len(study.trials) <= 31


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ({"storage": "nonsense"}, (), "`search.storage`: 'nonsense' can't be opened"),
        ({"storage": "sqlite:////nowhere/at/all.db"}, (), "can't be opened: unable to open database file"),
        (
            {"storage": "nosuchdb://me:secret@host/db"},
            (),
            "'nosuchdb://me:***@host/db' can't be opened",
        ),
        ({"sampler": {"_target_": "optuna.samplers.TPESamplr"}}, (), "Did you mean `TPESampler`?"),
        ({"sampler": {"_target_": "optuna.samplers.TPESampler", "sed": 1}}, (), "`search.sampler"),
        ({"pruner": {"_target_": "collections.Counter"}}, (), "`search.pruner` must be a BasePruner of Optuna"),
        ({"parameters": {"params.beat": {"min": 0, "max": 1}}}, (), "Did you mean `params.beta`?"),
        ({"parameters": {"model": {"values": ["VAE", "VEA"]}}}, (), "`model` has no option `VEA`"),
        ({"storage": "redis://localhost"}, (), "Install the driver of the database."),
        ({}, ("device.experiments_root=/proc/nowhere",), "`device.experiments_root`: '/proc/nowhere/searches/space'"),
        ({}, ("monitor.metric=null",), "`monitor.metric` is missing. Name the metric to optimize."),
        ({}, ("--search",), "`--search` needs the file of a search, such as `--search space.yaml`."),
        ({}, ("-m", "seed=1,2"), "`--search` can't have `-m`."),
        ({}, ("resume=auto",), "`--search` can't have `resume=auto`. The same command continues a search."),
        ({}, ("--check",), "`--search` checks its configs before the first trial."),
    ],
)
def test_a_mistake_is_reported_before_the_first_trial(
    train: Train, tmp_path: Path, content: dict[str, Any], arguments: tuple[str, ...], message: str
) -> None:
    result = train("--search", write_space(tmp_path, **content), *COMMAND, *arguments)
    assert result.code == 2, result
    assert message in result.errors
    assert "Traceback" not in result.errors
    assert "secret" not in result.errors
    assert len(result.errors.splitlines()) <= 3
    assert not (tmp_path / "runs").exists()


def test_a_search_without_optuna_names_the_extra(train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    result = train("--search", write_space(tmp_path), *COMMAND)
    assert result.code == 2, result
    assert "`uv sync --extra search`" in result.errors
