"""Results of a search: JSON, CSV, a page, and a table on the terminal."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from optuna.trial import FrozenTrial, TrialState
from rich.table import Column, Table

from frame_loggers.files import replace_text
from frame_train.report.charts import make_chart
from frame_train.report.rendering import write_page
from frame_train.report.series import N_COLORS
from frame_train.runs.record import read_record
from frame_train.tables import write_csv
from frame_train.terminal import make_cell, make_wide_console

_MOST_PRINTED = 20


def list_results(trials: Sequence[FrozenTrial], metric: str, is_maximized: bool) -> list[dict[str, Any]]:
    """Return a row for each trial, complete ones first, the best of them at the top.

    Args:
        trials: The trials that are done.
        metric: The name of the metric.
        is_maximized: Whether a greater value is better.
    """

    def rank(trial: FrozenTrial) -> tuple[bool, float]:
        if trial.state != TrialState.COMPLETE or trial.value is None:
            return True, trial.number
        return False, -trial.value if is_maximized else trial.value

    return [
        {
            "trial": trial.number,
            "state": trial.state.name.lower(),
            metric: trial.value if trial.value is not None and math.isfinite(trial.value) else None,
            "values": trial.user_attrs.get("values", {}),
            "directory": trial.user_attrs.get("directory"),
        }
        for trial in sorted(trials, key=rank)
    ]


def write_results(folder: Path, rows: Sequence[Mapping[str, Any]], metric: str) -> None:
    """Write ``results.json``, ``results.csv`` and ``report.html`` into the folder of a search."""
    replace_text(folder / "results.json", json.dumps(rows, indent=2) + "\n")
    flat = [{**{name: value for name, value in row.items() if name != "values"}, **row["values"]} for row in rows]
    replace_text(folder / "results.csv", write_csv(flat))
    write_page(
        folder / "report.html",
        "search.html.j2",
        _make_charts(rows, metric),
        title=f"Search {folder.name}",
        metric=metric,
        keys=list(dict.fromkeys(key for row in rows for key in row["values"])),
        rows=rows,
        pages=[_find_page(folder, row) for row in rows],
        format_value=format_value,
    )


def print_results(rows: Sequence[Mapping[str, Any]], metric: str) -> None:
    """Print a table of the best trials."""
    columns = [Column(make_cell(metric), justify="right"), Column("values", overflow="fold")]
    table = Table(Column("trial", justify="right"), "state", *columns, Column("run", overflow="fold"))
    for row in rows[:_MOST_PRINTED]:
        values = " ".join(f"{key}={format_value(value)}" for key, value in row["values"].items())
        run = "" if row["directory"] is None else Path(row["directory"]).name
        cells = (row["state"], format_value(row[metric]), make_cell(values), make_cell(run))
        table.add_row(str(row["trial"]), *cells)
    make_wide_console().print(table)


def format_value(value: Any) -> str:
    """Format a value for a table; empty for None."""
    return "" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)


def _make_charts(rows: Sequence[Mapping[str, Any]], metric: str) -> list[dict[str, Any]]:
    """Return a chart with the metric of the best trials during training."""
    best = [row for row in rows if row["directory"] is not None][:N_COLORS]
    curves = {f"trial {row['trial']}": read_record(Path(row["directory"])).metrics.get(metric, []) for row in best}
    return [make_chart(metric, curves)] if any(len(points) > 1 for points in curves.values()) else []


def _find_page(folder: Path, row: Mapping[str, Any]) -> str | None:
    """Return the address of the page of a trial's run, relative to the folder of the search."""
    directory = row["directory"]
    return None if directory is None else quote(os.path.relpath(Path(directory) / "report.html", folder))
