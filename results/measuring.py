"""Measurement of a row: its trained runs, and the number of each."""

from pathlib import Path

from benchmarks.report import describe_machine
from frame_core import EvaluationView, Model, name_numbers, run_evaluation
from frame_train import Run, load_run
from frame_train.runs.record import Record
from results.baselines import Pixels, TrainingExamples, Truth
from results.runs import train
from results.table import Measurement, Row, is_of


def measure(row: Row, runs: Path, data_root: Path | None) -> tuple[Measurement, Path | None]:
    """Train a row with all its seeds, except where that is done, and measure it.

    Args:
        row: The row.
        runs: Folder of the run directories.
        data_root: Folder of the data sets; None for that of the device config.

    Returns:
        The measurement, and the file of the picture if the row has one.

    Raises:
        TrainingError: A training failed.
        ValueError: The runs do not log the metric or the picture.
    """
    records = [train(row, seed, runs, data_root) for seed in range(row.seeds)]
    machine = describe_machine()
    measurement = Measurement(
        arguments=row.arguments,
        values=[_read_last(record, row.metric) for record in records],
        commits=sorted({_read_commit(record) for record in records}),
        date=max(record.description["ended"][:10] for record in records),
        machine=f"{machine['processor']}, {machine['cores']} cores",
        torch=records[0].description["versions"]["torch"],
        baseline=_measure_baseline(row, records[0]),
    )
    return measurement, _find_picture(records[0], row.picture)


def _read_last(record: Record, metric: str) -> float:
    if metric not in record.metrics:
        raise ValueError(f"`metric` must be one of {', '.join(record.metrics)}, got {metric!r} ({record.directory}).")
    return record.metrics[metric][-1].value


def _measure_baseline(row: Row, record: Record) -> float | None:
    if row.baseline is None:
        return None
    run = load_run(record.directory)
    key, name = next((key, node.name) for key, node in run.config.evaluation.items() if is_of(row.metric, node.name))
    view = EvaluationView(_make_baseline(row, run), run.data, run.counters)
    entry = run_evaluation(run.instantiate(f"evaluation.{key}.evaluator"), view)
    return name_numbers(name, entry)[row.metric]


def _make_baseline(row: Row, run: Run) -> Model:
    if row.baseline == "pixels":
        return Pixels()
    return Truth(run.data["valid"]) if row.baseline == "truth" else TrainingExamples(run.data["train"])


def _find_picture(record: Record, name: str | None) -> Path | None:
    if name is None:
        return None
    if name not in record.pictures:
        raise ValueError(f"`picture` must be one of {', '.join(record.pictures)}, got {name!r} ({record.directory}).")
    return record.pictures[name][-1].path


def _read_commit(record: Record) -> str:
    git = record.description["git"]
    return "unknown" if git is None else git["commit"][:7] + ("+" if git["dirty"] else "")
