"""Reports of benchmarks, as tables or as JSON."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column
from rich.table import Table as RichTable

from benchmarks.comparison import Ratio

Cell = str | float | Ratio


@dataclass(frozen=True)
class Table:
    """Table of results.

    Args:
        title: Description of the measurement.
        rows: The results, by contender and column.
    """

    title: str
    rows: Mapping[str, Mapping[str, Cell]]


def report(tables: Sequence[Table], as_json: bool, as_markdown: bool = False) -> None:
    """Print tables and a description of the machine."""
    machine = describe_machine()
    if as_json:
        json.dump({"machine": machine, "tables": [asdict(table) for table in tables]}, sys.stdout, indent=2)
        return
    console = Console(width=None if sys.stdout.isatty() else 160)
    for table in tables:
        if as_markdown:
            console.print(format_markdown(table), soft_wrap=True, markup=False, highlight=False)
        else:
            console.print(_draw(table))
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()), soft_wrap=True)


def describe_machine() -> dict[str, Any]:
    """Describe the machine, the commit, and the versions that the numbers depend on."""
    return {
        "commit": _read_commit(),
        "date": date.today().isoformat(),
        "processor": _name_processor(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "as many as cores"),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "pytorch-lightning")},
    }


def format_markdown(table: Table) -> str:
    """Format a table in Markdown, with a line for each row."""
    columns = list(next(iter(table.rows.values())))
    lines = [["", *columns], ["---"] * (len(columns) + 1)]
    lines += [[name, *(_show(row[column]) for column in columns)] for name, row in table.rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _read_commit() -> str:
    """Return the present commit, with a ``+`` if there are uncommitted changes."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"


def _name_processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _draw(table: Table) -> RichTable:
    columns = list(next(iter(table.rows.values())))
    drawn = RichTable("", *(Column(name, justify="right") for name in columns), title=table.title)
    for name, row in table.rows.items():
        drawn.add_row(name, *(_show(row[column]) for column in columns))
    return drawn


def _show(cell: Cell) -> str:
    return (
        f"{cell:,.3g}"
        if isinstance(cell, float) and cell < 100
        else f"{cell:,.0f}"
        if isinstance(cell, float)
        else str(cell)
    )
