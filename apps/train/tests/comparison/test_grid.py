import csv
import json
import math
from pathlib import Path

import pytest
import torch

from frame_train.comparison.grid import (
    Job,
    group_by_setting,
    is_grid,
    read_command,
    read_jobs,
    write_command,
    write_job,
    write_results,
)
from frame_train.errors import CompositionError


def make_job(beta: float, seed: int, **last: float) -> Job:
    status = "complete" if last else "failed"
    return Job(["+experiment=X", f"seed={seed}", f"params.beta={beta}"], status, f"runs/{seed}", "loss", "min", last)


JOBS = [
    *(make_job(0.1, seed, loss=value) for seed, value in enumerate([1.0, 2.0, 4.5])),
    *(make_job(1, seed, loss=value, other=value) for seed, value in enumerate([0.5, 0.7])),
    make_job(1, 2),
]


def test_jobs_that_differ_in_the_seed_are_one_setting() -> None:
    settings = group_by_setting(JOBS)
    assert [setting.values for setting in settings] == [{"params.beta": "0.1"}, {"params.beta": "1"}]
    assert [(len(setting.jobs), setting.n_complete) for setting in settings] == [(3, 3), (3, 2)]


def test_the_error_of_a_mean_is_the_sample_deviation_over_the_root_of_the_number() -> None:
    mean, error, n_values = group_by_setting(JOBS)[0].metrics["loss"]
    values = torch.tensor([1.0, 2.0, 4.5], dtype=torch.float64)
    assert (mean, n_values) == (values.mean(), 3)
    torch.testing.assert_close(error, (values.std(correction=1) / 3**0.5).item())


def test_one_value_has_no_error() -> None:
    (setting,) = group_by_setting([make_job(0.1, 0, loss=1.0)])
    assert math.isnan(setting.metrics["loss"].standard_error)


@pytest.mark.parametrize(("mode", "best"), [("min", [False, True]), ("max", [True, False])])
def test_the_best_setting_is_that_of_the_monitored_metric(mode: str, best: list[bool]) -> None:
    jobs = [Job(job.overrides, job.status, job.directory, job.metric, mode, job.last) for job in JOBS]
    assert [setting.is_best for setting in group_by_setting(jobs)] == best


def test_a_setting_whose_mean_is_not_finite_is_never_the_best() -> None:
    settings = group_by_setting([make_job(0.1, 0, loss=math.nan), make_job(1, 0, loss=2.0), make_job(2, 0, loss=3.0)])
    assert [setting.is_best for setting in settings] == [False, True, False]


def test_no_setting_is_the_best_without_a_monitored_metric() -> None:
    jobs = [Job(job.overrides, job.status, last=job.last) for job in JOBS]
    assert not any(setting.is_best for setting in group_by_setting(jobs))


def test_results_are_written_as_json_and_csv(tmp_path: Path) -> None:
    jobs = [*JOBS, make_job(2, 0, loss=math.nan)]
    write_results(tmp_path, group_by_setting(jobs))
    results = json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)
    assert [result["setting"] for result in results] == [{"params.beta": beta} for beta in ("0.1", "1", "2")]
    assert [result["metrics"]["loss"]["mean"] for result in results] == [2.5, 0.6, None]
    assert results[1]["directories"] == ["runs/0", "runs/1", "runs/2"]
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert [(row["params.beta"], row["n_complete"], row["loss"]) for row in rows][:2] == [
        ("0.1", "3", "2.5"),
        ("1", "2", "0.6"),
    ]
    assert rows[2]["loss standard error"] == ""


def test_jobs_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 0):
        write_job(tmp_path, number, make_job(number, 0, loss=math.inf))
    (tmp_path / "job-1 (copy).json").touch()  # of a file manager
    assert [job.overrides[-1] for job in read_jobs(tmp_path)] == [f"params.beta={beta}" for beta in (0, 2, 10)]


def test_a_damaged_job_is_reported_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "job-0.json").write_text('{"overrides": ')
    with pytest.raises(CompositionError, match=r"job-0.json' must be .* Remove the file to train it again."):
        read_jobs(tmp_path)


def test_a_folder_is_a_grid_if_it_has_a_command(tmp_path: Path) -> None:
    assert not is_grid(tmp_path)
    write_command(tmp_path, ["-m", "seed=0,1"])
    assert is_grid(tmp_path)
    assert read_command(tmp_path) == ["-m", "seed=0,1"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"command": 3}'])
def test_a_damaged_command_is_reported(tmp_path: Path, content: str) -> None:
    (tmp_path / "grid.json").write_text(content)
    with pytest.raises(CompositionError, match="must be a JSON object with the `command` of a grid"):
        read_command(tmp_path)
