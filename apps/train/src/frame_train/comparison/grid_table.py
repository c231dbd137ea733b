"""Table of the settings of a grid on the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table

from frame_train.comparison.grid import Setting, list_metrics
from frame_train.console import print_notice
from frame_train.terminal import make_cell, make_wide_console


def print_settings(settings: Sequence[Setting]) -> None:
    """Print a table of the settings of a grid: their values, and the mean ± standard error of each final metric.

    The monitored metrics come first. If the terminal is too narrow for all metrics, a notice counts those left out.
    """
    console = make_wide_console()
    names = list_metrics(settings)
    n_shown = len(names)
    while n_shown > 1 and not _fits(_make_table(settings, names[:n_shown], console.width), console):
        n_shown -= 1
    console.print(_make_table(settings, names[:n_shown], console.width))
    if n_shown < len(names):
        print_notice(f"Metrics without room: {len(names) - n_shown}. `results.csv` and `report.html` have all of them.")


def _make_table(settings: Sequence[Setting], names: Sequence[str], width: int) -> Table:
    columns = [Column(make_cell(name), justify="right", overflow="fold") for name in names]
    first = Column("setting", overflow="fold", max_width=width // 2)
    table = Table(first, Column("runs", justify="right"), *columns)
    for setting in settings:
        name = f"{setting.name} (best)" if setting.is_best else setting.name
        cells = [str(setting.metrics.get(metric, "")) for metric in names]
        table.add_row(make_cell(name), setting.count, *cells)
    return table


def _fits(table: Table, console: Console) -> bool:
    """Return whether a table has its natural width on the console, so that no title of a column is folded."""
    unlimited = console.options.update(max_width=10_000)
    return Measurement.get(console, unlimited, table).maximum <= console.width
