"""Table of the settings of a grid on the terminal."""

import math
from collections.abc import Sequence

from rich.table import Column, Table

from frame_train.comparison.grid import Mean, Setting
from frame_train.terminal import make_cell, make_wide_console


def print_settings(settings: Sequence[Setting]) -> None:
    """Print a table of the settings of a grid: their values, and the mean ± standard error of each final metric."""
    names = list(dict.fromkeys(name for setting in settings for name in setting.metrics))
    monitored = {job.metric for setting in settings for job in setting.jobs}
    names.sort(key=lambda name: name not in monitored)
    columns = [Column(make_cell(name), justify="right", overflow="fold") for name in names]
    table = Table(Column("setting", overflow="fold"), Column("runs", justify="right"), *columns)
    for setting in settings:
        text = " ".join(f"{key}={value}" for key, value in setting.values.items()) or "all"
        n_jobs, n_complete = len(setting.jobs), setting.n_complete
        counts = str(n_jobs) if n_complete == n_jobs else f"{n_complete} of {n_jobs}" if n_complete else "failed"
        cells = [_format(setting.metrics.get(name)) for name in names]
        table.add_row(make_cell(f"{text} (best)" if setting.is_best else text), counts, *cells)
    make_wide_console().print(table)


def _format(mean: Mean | None) -> str:
    if mean is None:
        return ""
    if math.isnan(mean.standard_error):
        return f"{mean.mean:.5g}"
    return f"{mean.mean:.5g} ± {mean.standard_error:.2g}"
