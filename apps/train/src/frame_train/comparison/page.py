"""Page that shows several runs side by side."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from frame_train.comparison.difference import Rows
from frame_train.report.charts import make_chart
from frame_train.report.page import Image, load_image
from frame_train.report.rendering import write_page
from frame_train.runs.record import Point, Record, read_record


def write_comparison(path: Path, directories: Mapping[str, Path], differences: Mapping[str, Rows]) -> None:
    """Write a page with the differences, the curves and the latest pictures of several runs.

    Args:
        path: The HTML file.
        directories: The run directories, by the letter that stands for each run.
        differences: The rows of each table, made by `frame_train.comparison.difference.compare_runs`.

    Raises:
        OSError: The page can't be written.
    """
    records = {letter: read_record(directory) for letter, directory in directories.items()}
    write_page(
        path,
        "comparison.html.j2",
        [make_chart(name, curves) for name, curves in _collect_curves(records).items()],
        title="Comparison of runs",
        runs={letter: str(directory) for letter, directory in directories.items()},
        differences=differences,
        pictures=collect_pictures(records),
    )


def _collect_curves(records: Mapping[str, Record]) -> dict[str, dict[str, list[Point]]]:
    """Return a curve for each run, by metric. A metric needs a run with two finite values."""
    names = dict.fromkeys(name for record in records.values() for name in record.metrics)
    curves = {
        name: {letter: record.metrics.get(name, []) for letter, record in records.items()}  # equal colors in each chart
        for name in names
    }
    return {name: of_name for name, of_name in curves.items() if any(map(_is_curve, of_name.values()))}


def _is_curve(points: Sequence[Point]) -> bool:
    return sum(math.isfinite(point.value) for point in points) > 1


def collect_pictures(records: Mapping[str, Record]) -> dict[str, dict[str, Image]]:
    """Return the latest picture of each run, by its name and that of the run."""
    names = dict.fromkeys(name for record in records.values() for name in record.pictures)
    return {
        name: {
            letter: load_image(record.pictures[name][-1])
            for letter, record in records.items()
            if name in record.pictures
        }
        for name in names
    }
