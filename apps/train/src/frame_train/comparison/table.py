"""Tables of runs."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.table import Column, Table

from frame_train.comparison.summary import Summary
from frame_train.report.scale import format_duration, format_number
from frame_train.tables import write_markdown
from frame_train.terminal import make_cell, make_wide_console


def print_runs(runs: Sequence[Summary], root: Path) -> None:
    """Print a table of runs: directory, status, duration, the settings that differ, and the monitored metric."""
    monitors = {run.monitor for run in runs}
    metric = [] if len(monitors) == 1 else [Column("metric", overflow="fold")]
    best = f"best {runs[0].monitor}" if len(monitors) == 1 and runs[0].monitor else "best"
    table = Table(
        *(Column(title, no_wrap=True) for title in ("run", "status", "took")),
        Column("settings", overflow="fold"),
        *metric,
        Column(make_cell(best), justify="right", overflow="fold"),
        Column("last", justify="right", no_wrap=True),
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
    for run, settings in zip(runs, _describe_settings(runs)):
        cells = [str(run.directory.relative_to(root)), run.status, "", settings]
        cells[2] = "" if run.seconds is None else format_duration(run.seconds)
        cells += [run.monitor or ""] * len(metric)
        cells += [_format(values.get(str(run.monitor))) for values in (run.best, run.last)]
        table.add_row(*map(make_cell, cells))
    make_wide_console().print(table)


def describe_runs(runs: Sequence[Summary], root: Path) -> str:
    """Return a table in Markdown: directory, the settings that differ, and the last value of every metric."""
    metrics = list(dict.fromkeys(name for run in runs for name in run.last))
    rows = (
        (str(run.directory.relative_to(root)), settings, *(_format(run.last.get(name)) for name in metrics))
        for run, settings in zip(runs, _describe_settings(runs))
    )
    return write_markdown(("run", "settings", *metrics), rows)


def _describe_settings(runs: Sequence[Summary]) -> list[str]:
    """Return, for each run, the settings that differ between the runs of its name."""
    names = {(run.project, run.name) for run in runs}
    varying = {pair: find_varying(run for run in runs if (run.project, run.name) == pair) for pair in names}
    return [
        " ".join(
            f"{key.removeprefix('params.')}={run.settings[key]}"
            for key in varying[run.project, run.name]
            if key in run.settings
        )
        for run in runs
    ]


def _format(value: float | None) -> str:
    return "" if value is None else format_number(value)


def find_varying(runs: Iterable[Summary]) -> list[str]:
    """Return the keys of the settings that are not the same in all runs with a readable description."""
    settings = [run.settings for run in runs if run.status != "damaged"]
    keys = dict.fromkeys(key for of_run in settings for key in of_run)
    return [key for key in keys if len({repr(of_run.get(key)) for of_run in settings}) > 1]
