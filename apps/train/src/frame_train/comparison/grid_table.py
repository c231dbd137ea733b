"""Table of the settings of a grid on the terminal."""

from collections.abc import Sequence

from rich.table import Column, Table

from frame_train.comparison.grid import Setting, list_metrics
from frame_train.terminal import make_cell, make_wide_console


def print_settings(settings: Sequence[Setting]) -> None:
    """Print a table of the settings of a grid: their values, and the mean ± standard error of each final metric."""
    names = list_metrics(settings)
    columns = [Column(make_cell(name), justify="right", overflow="fold") for name in names]
    table = Table(Column("setting", overflow="fold"), Column("runs", justify="right"), *columns)
    for setting in settings:
        name = f"{setting.name} (best)" if setting.is_best else setting.name
        cells = [str(setting.metrics.get(metric, "")) for metric in names]
        table.add_row(make_cell(name), setting.count, *cells)
    make_wide_console().print(table)
