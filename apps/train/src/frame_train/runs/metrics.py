"""The entries of a run as a table."""

from pathlib import Path
from typing import TYPE_CHECKING

from frame_train.runs.record import read_lines

if TYPE_CHECKING:
    import pandas as pd

_NOT_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def read_metrics(directory: Path) -> "pd.DataFrame":
    """Read ``metrics.jsonl``: a row for each line, a column for each name; a line that was cut off is left out."""
    import pandas as pd

    lines = [line for line in read_lines(directory / "metrics.jsonl") if line is not None]
    return pd.DataFrame([{name: _NOT_FINITE.get(str(value), value) for name, value in line.items()} for line in lines])
