import json
import math
import re
from pathlib import Path

import numpy as np

from frame_train.comparison.grid import Job, group_by_setting, write_command
from frame_train.comparison.grid_page import average, write_grid_page
from frame_train.runs.record import Point


def make_run(folder: Path, seed: int, beta: str, values: list[float]) -> Job:
    directory = folder / f"run-{beta[:3]}-{seed}"
    directory.mkdir()
    lines = [{"loss": value, "trainer/global_step": 10 * step} for step, value in enumerate(values)]
    (directory / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    overrides = [f"seed={seed}", f"params.beta={beta}"]
    return Job(overrides, "complete", str(directory), "loss", "min", {"loss": values[-1]})


def write_grid(folder: Path, jobs: list[Job]) -> str:
    write_command(folder, ["-m", "seed=0,1", "params.beta=1,<script>"])
    write_grid_page(folder, group_by_setting(jobs))
    return (folder / "report.html").read_text()


def read_charts(page: str) -> list[dict[str, object]]:
    (text,) = re.findall(r'<script type="application/json" id="charts">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def test_curves_are_averaged_with_their_standard_error() -> None:
    curves = [[Point(0, 1.0), Point(10, 2.0)], [Point(0, 3.0), Point(10, 2.0)], [Point(0, 5.0), Point(10, 5.0)]]
    steps, mean, error = average(curves)
    assert steps == [0, 10]
    np.testing.assert_allclose(mean, [3.0, 3.0])
    np.testing.assert_allclose(error, [2 / math.sqrt(3), math.sqrt(3) / math.sqrt(3)])  # deviations 2 and root 3


def test_curves_with_other_steps_are_interpolated_where_all_of_them_have_values() -> None:
    steps, mean, _ = average([[Point(0, 0.0), Point(10, 10.0)], [Point(5, 1.0), Point(20, 1.0)]])
    assert steps == [5, 10]
    np.testing.assert_allclose(mean, [3.0, 5.5])


def test_curves_without_a_common_range_have_no_average() -> None:
    steps, mean, _ = average([[Point(0, 0.0)], [Point(5, 1.0)]])
    assert (steps, len(mean)) == ([], 0)


def test_a_single_curve_has_no_error() -> None:
    steps, mean, error = average([[Point(0, 1.0), Point(10, math.nan)]])
    assert steps == [0, 10]
    assert mean[0] == 1.0
    assert np.isnan([mean[1], *error]).all()


def test_a_page_has_a_curve_with_a_band_for_each_setting(tmp_path: Path) -> None:
    jobs = [make_run(tmp_path, seed, beta, [1.0 + seed, 3.0]) for beta in ("1", "<script>") for seed in (0, 2)]
    page = write_grid(tmp_path, jobs)
    (chart,) = read_charts(page)
    assert chart["curves"] == [
        {"name": f"params.beta={beta}", "steps": [0, 10], "values": [2.0, 3.0], "low": [1.0, 3.0], "high": [3.0, 3.0]}
        for beta in ("1", "<script>")
    ]
    assert 'href="run-1-2/report.html"' in page
    assert '<th scope="row">params.beta=&lt;script&gt;' in page


def test_a_setting_whose_runs_failed_or_were_removed_has_a_row_and_no_curve(tmp_path: Path) -> None:
    removed = Job(["seed=0", "params.beta=2"], "complete", str(tmp_path / "removed"), "loss", "min", {"loss": 1.0})
    failed = Job(["seed=0", "params.beta=3"], "failed")
    page = write_grid(tmp_path, [make_run(tmp_path, 0, "1", [1.0, 2.0]), removed, failed])
    (chart,) = read_charts(page)
    assert [len(curve["steps"]) for curve in chart["curves"]] == [2, 0, 0]
    assert "params.beta=3" in page


def test_a_grid_without_curves_has_a_page(tmp_path: Path) -> None:
    page = write_grid(tmp_path, [Job(["seed=0", "params.beta=3"], "failed")])
    assert "params.beta" not in page.partition("Settings")[2].partition("</table>")[2]
