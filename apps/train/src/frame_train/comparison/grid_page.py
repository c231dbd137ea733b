"""Page of a grid: the final metrics, the curves and the latest pictures of each setting."""

import math
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from frame_train.comparison.grid import Setting, list_metrics, read_command
from frame_train.comparison.page import collect_pictures
from frame_train.report.charts import make_chart
from frame_train.report.rendering import write_page
from frame_train.report.series import N_DRAWN
from frame_train.runs.record import Point, Record, read_record


def write_grid_page(folder: Path, settings: Sequence[Setting]) -> None:
    """Write ``report.html`` into the folder of a grid.

    Args:
        folder: The folder.
        settings: The settings of the grid.

    Raises:
        OSError: The page can't be written.
    """
    records = {setting.name: _read_records(setting) for setting in settings}
    metrics = list_metrics(settings)
    charts = [_make_chart(name, records) for name in metrics]
    write_page(
        folder / "report.html",
        "grid.html.j2",
        list(filter(None, charts)),
        title=f"Grid {folder.name}",
        command=shlex.join(["train", *read_command(folder)]),
        metrics=metrics,
        settings=settings,
        pages={setting.name: _list_pages(folder, setting) for setting in settings},
        pictures=collect_pictures({name: of_setting[0] for name, of_setting in records.items() if of_setting}),
    )


def average(curves: Sequence[Sequence[Point]]) -> tuple[list[int], NDArray[np.float64], NDArray[np.float64]]:
    """Average curves over runs, at every step that lies within all of them.

    Between two values of a run, its curve is interpolated linearly: runs that are evaluated after an interval of time
    have values at different steps.

    Returns:
        The steps, the mean at each step, and its standard error, which is NaN for a single run.
    """
    by_step = [dict(curve) for curve in curves]
    first, last = max(min(values) for values in by_step), min(max(values) for values in by_step)
    steps = sorted({step for values in by_step for step in values if first <= step <= last})
    if len(steps) > N_DRAWN:
        steps = [steps[round(index)] for index in np.linspace(0, len(steps) - 1, N_DRAWN)]
    table = np.array([np.interp(steps, list(values), list(values.values())) for values in by_step])
    with np.errstate(invalid="ignore", divide="ignore"):  # a value may not be finite
        deviation = table.std(axis=0, ddof=1) if len(by_step) > 1 else np.full(len(steps), math.nan)
        return steps, table.mean(axis=0), deviation / math.sqrt(len(by_step))


def _read_records(setting: Setting) -> list[Record]:
    return [read_record(Path(job.directory)) for job in setting.jobs if job.status == "complete" and job.directory]


def _make_chart(metric: str, records: Mapping[str, Sequence[Record]]) -> dict[str, Any] | None:
    """Return a chart with the mean of each setting, in a band of one standard error; None if it has no curve."""
    curves: dict[str, list[Point]] = {}
    for name, of_setting in records.items():
        values = [record.metrics[metric] for record in of_setting if metric in record.metrics]
        steps, mean, error = average(values) if values else ([], np.array([]), np.array([]))
        for end, offset in (("", 0.0), (" -", -error), (" +", error)):
            curves[name + end] = [Point(step, float(value)) for step, value in zip(steps, mean + offset)]
    if all(len(points) < 2 for points in curves.values()):
        return None
    chart = make_chart(metric, curves)
    lines = iter(chart["curves"])
    chart["curves"] = [
        {**line, "low": low["values"], "high": high["values"]} for line, low, high in zip(lines, lines, lines)
    ]
    return chart


def _list_pages(folder: Path, setting: Setting) -> dict[str, str]:
    """Return the address of the page of each run, relative to the folder of the grid."""
    directories = [Path(job.directory) for job in setting.jobs if job.directory]
    return {path.name: quote(os.path.relpath(path / "report.html", folder)) for path in directories}
