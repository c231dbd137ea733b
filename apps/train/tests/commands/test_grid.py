"""Grids: results over seeds, checks before the first job, and resumption."""

import json
import math
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf

from frame_train.commands.grid import list_jobs
from frame_train.comparison.grid import Job, write_command, write_job
from frame_train.composition.compose import initialized_hydra, list_task_overrides
from frame_train.runs.directory import claimed
from processes import Commands
from runs import SMALL_VAE, TWO_STEPS, read_description, read_entries

Train = partial[Any]

GRID = ("-m", *SMALL_VAE, *TWO_STEPS, "logging=none", "~evaluation.samples", "~evaluation.reconstructions")


def list_runs(root: Path) -> list[Path]:
    return sorted((root / "runs" / "DIGITS" / "VAE").iterdir())


def find_grid(root: Path) -> Path:
    (grid,) = (root / "runs" / "grids").iterdir()
    return grid


def test_a_grid_ends_with_means_over_seeds_and_marks_the_best_setting(train: Train, tmp_path: Path) -> None:
    result = train(*GRID, "seed=0,1", "params.beta=0.25,-1")
    assert result.code == 2
    assert result.errors.count("`beta` must be non-negative, got -1") == 2
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert [OmegaConf.load(run / "config.yaml").seed for run in list_runs(tmp_path)] == [0, 1]
    grid = find_grid(tmp_path)
    values = [read_description(run)["last"]["ELBO/Validation"] for run in list_runs(tmp_path)]
    setting, failed = json.loads((grid / "results.json").read_text())
    assert setting["metrics"]["ELBO/Validation"]["mean"] == pytest.approx(sum(values) / 2)
    assert setting["metrics"]["ELBO/Validation"]["standard_error"] == pytest.approx(abs(values[0] - values[1]) / 2)
    assert (setting["is_best"], failed["is_best"], failed["n_complete"]) == (True, False, 0)
    *_, table = result.output.split("Run directory:")
    for text in ("params.beta=0.25 (best)", f"{sum(values) / 2:.5g} ± ", "failed"):
        assert text in table
    assert f"train resume={grid}" in result.errors
    assert "params.beta=0.25" in (grid / "report.html").read_text()

    groups = [OmegaConf.load(run / "config.yaml").run.group for run in list_runs(tmp_path)]
    assert groups == [grid.name] * 2, "on W&B, the jobs of a grid share a group"


def test_a_mistake_in_one_job_is_reported_before_the_first_one_trains(train: Train, tmp_path: Path) -> None:
    result = train(*GRID, "seed=0,nonsense,-1", "params.beta=1")
    assert result.code == 2
    assert "`seed` must be an integer from 0 to 2**32 - 1, got 'nonsense'" in result.errors
    assert "`seed` must be an integer from 0 to 2**32 - 1, got -1" in result.errors
    assert not (tmp_path / "runs").exists()


def test_all_jobs_of_a_grid_can_be_checked_without_training(train: Train, tmp_path: Path) -> None:
    result = train("--check", *GRID, "seed=0,1", "params.beta=1,-1")
    assert result.code == 2, result
    assert result.errors.count("`beta` must be non-negative, got -1") == 1
    assert "This grid: 1 mistake" in result.output
    assert not (tmp_path / "runs").exists()


def test_a_range_of_values_is_refused(train: Train, tmp_path: Path) -> None:
    result = train(*GRID, "params.beta=interval(0,1)")
    assert result.code == 2
    assert "`params.beta=interval(0,1)`: a grid needs a list of values, such as `params.beta=0.1,1`." in result.errors
    assert not (tmp_path / "runs").exists()


def test_the_jobs_of_a_resumed_grid_keep_their_configs(train: Train, tmp_path: Path) -> None:
    (tmp_path / "grid.json").write_text(json.dumps({"command": [*GRID, "seed=0,1"]}))
    result = train.func(f"resume={tmp_path}", "params.beta=1")
    assert result.code == 2
    assert "the jobs of a grid keep their configs, got `params.beta=1`. Remove it." in result.errors


def test_a_grid_whose_job_is_trained_by_another_process_is_not_resumed(train: Train, tmp_path: Path) -> None:
    write_command(tmp_path, [*GRID, "seed=0,1"])
    run = tmp_path / "run"
    run.mkdir()
    write_job(tmp_path, 0, Job(["seed=0"], "started", str(run)))
    with claimed(run):
        result = train.func(f"resume={tmp_path}")
    assert result.code == 2
    assert f"another process trains a job of this grid, in {str(run)!r}" in result.errors
    with claimed(tmp_path):
        result = train.func(f"resume={tmp_path}")
    assert result.code == 2
    assert f"another process trains or evaluates in {str(tmp_path)!r}" in result.errors


def test_each_job_returns_its_metric_to_the_sweeper_and_a_resumed_grid_trains_only_the_failed_ones(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = Plugins.instance()  # executes the module of the sweeper again, so it is imported afterwards
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    returned: list[Any] = []

    class RecordingSweeper(BasicSweeper):
        __module__, __qualname__ = "hydra_plugins.recording", "RecordingSweeper"

        def sweep(self, arguments: list[str]) -> Any:
            returned.extend(job.return_value for jobs in super().sweep(arguments) for job in jobs)

    module = ModuleType(RecordingSweeper.__module__)
    vars(module)["RecordingSweeper"] = RecordingSweeper
    monkeypatch.setitem(sys.modules, module.__name__, module)
    plugins.register(RecordingSweeper)
    result = train(*GRID, "params.beta=1,-1", f"hydra.sweeper._target_={module.__name__}.RecordingSweeper")
    assert result.code == 2, result.errors
    (run,) = list_runs(tmp_path)
    entries, grid = read_entries(run), find_grid(tmp_path)
    resumed = train.func(f"resume={grid}")
    assert resumed.code == 2
    assert "job 0 is complete" in resumed.errors
    for errors in (result.errors, resumed.errors):
        assert errors.count("`beta` must be non-negative, got -1") == 1
    assert (list_runs(tmp_path), read_entries(run), find_grid(tmp_path)) == ([run], entries, grid)
    assert returned[0] == returned[2] == read_description(run)["last"]["ELBO/Validation"]
    assert math.isnan(returned[1])
    assert math.isnan(returned[3])


DEADLY = """
import os, signal
from pathlib import Path
from pytorch_lightning import Callback

class KillOnce(Callback):
    def on_train_batch_end(self, trainer, *others):
        n_runs = len(list(Path("runs/DIGITS/VAE").iterdir()))
        if trainer.global_step == 3 and n_runs == 2 and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_grid_skips_complete_jobs_and_resumes_the_broken_one(commands: Commands) -> None:
    root = commands.folder
    (root / "deadly.py").write_text(DEADLY)
    deadly = ("trainer.max_epochs=2", "+callbacks.deadly={_target_:deadly.KillOnce}")
    command = commands.run(*GRID, *deadly, "seed=0,1,2", "device.experiments_root=runs")
    assert command.code == -9, command.output
    first, broken = list_runs(root)
    before = read_description(first)
    folder = find_grid(root)
    command = commands.run(f"resume={folder}")
    assert command.code == 0, command.output
    runs = list_runs(root)
    assert runs[:2] == [first, broken]
    assert len(runs) == 3
    assert read_description(first) == before
    assert read_description(broken)["resumed"][0]["global_step"] == 2
    assert [OmegaConf.load(run / "config.yaml").seed for run in runs] == [0, 1, 2]
    jobs = [json.loads((folder / f"job-{number}.json").read_text()) for number in range(3)]
    assert [(job["status"], job["directory"]) for job in jobs] == [("complete", str(run)) for run in runs]
    (setting,) = json.loads((folder / "results.json").read_text())
    assert (setting["n_jobs"], setting["n_complete"]) == (3, 3)


@pytest.mark.parametrize(
    "arguments",
    [
        ["params.beta=0.1,1", "seed=0,1,2"],
        ["+experiment=DIGITS_VAE", "params.beta=choice(1,2)", "seed=range(0,3)"],
        ["params.beta=1,2", "params.beta=3,4"],
        ["~callbacks.progress_bar", "++trainer.max_epochs=1,2", "run.name='a,b'", "params.layers=[1,2],[3]"],
    ],
    ids=" ".join,
)
def test_the_jobs_of_a_grid_are_those_of_hydras_sweeper(arguments: list[str]) -> None:
    with initialized_hydra():
        parser = OverridesParser.create(GlobalHydra.instance().config_loader())
        (expected,) = BasicSweeper.split_arguments(parser.parse_overrides(list_task_overrides(arguments)), None)
    assert list_jobs(arguments) == [list(job) for job in expected]


@pytest.mark.parametrize("command", ["train resume=./my_ru", "evaluate run=./my_ru", "evaluate last run=./my_ru"])
def test_the_path_of_a_run_is_completed(
    command: str, train: Train, evaluate: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_runs").mkdir()
    program, *_, word = command.split()
    monkeypatch.setenv("COMP_LINE", command)
    complete = {"train": train.func, "evaluate": evaluate}[program]
    assert complete("-sc", "query=bash").output == f"{word}ns\n"
