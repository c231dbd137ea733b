"""`python -m results` verifies the rows of the table, lists them, writes its pages, or trains small classifiers."""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from frame_core.checks import suggest
from frame_train.commands.exit_codes import exiting_on_signals
from frame_train.console import print_error
from frame_train.errors import TrainingError
from results.classifiers import ROWS, write_classifier
from results.measuring import measure
from results.pages import ROOT, format_estimate, format_result, get_picture, write_pages
from results.table import Measurement, Row, read_measurements, read_rows, write_measurements

Measured = dict[str, tuple[Measurement, Path | None]]
"""Measurement of each row, and the file of its picture."""


@exiting_on_signals()
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code: 1 if a row was not trained, or differs from what is expected.

    After a signal, the same command continues.
    """
    rows = read_rows()
    parser = argparse.ArgumentParser(prog="python -m results", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="print the names of the rows")
    commands.add_parser("write", help="write docs/results.md and the table in the README")
    verify = commands.add_parser("verify", help="train rows, compare them with what is expected, and write the pages")
    verify.add_argument("rows", nargs="*", metavar="ROW", help="name of a row; without one, all rows")
    verify.add_argument("--quick", action="store_true", help="only rows whose runs take under two minutes")
    classifier = commands.add_parser(
        "classifier", help="train a small classifier, and write its weights for frame-eval"
    )
    classifier.add_argument("name", choices=ROWS, help="name of the data set")
    for command in (verify, classifier):
        command.add_argument(
            "--runs", type=Path, default=ROOT / "runs" / "results", help="folder of the run directories"
        )
        command.add_argument(
            "--data-root",
            type=Path,
            default=os.environ.get("FRAME_DATA_ROOT"),
            help="folder of the data sets, by default FRAME_DATA_ROOT; without either, that of the device",
        )
    options = parser.parse_args(arguments)
    if options.command == "list":
        sys.stdout.write("\n".join(rows) + "\n")
        return 0
    if options.command == "write":
        write_pages(rows, read_measurements())
        return 0
    if options.data_root is not None and not options.data_root.is_dir():
        parser.error(f"--data-root must be a folder, got {str(options.data_root)!r}")
    if options.command == "classifier":
        sys.stdout.write(
            write_classifier(options.name, rows[ROWS[options.name]], options.runs, options.data_root) + "\n"
        )
        return 0
    for name in options.rows:
        if name not in rows:
            parser.error(f"ROW must be one of {', '.join(rows)}, got {name!r}.{suggest(name, rows)}")
    chosen = [name for name in options.rows or rows if rows[name].is_quick or not options.quick]
    measured: Measured = {}
    try:
        is_verified = [_verify(name, rows[name], options.runs, options.data_root, measured) for name in chosen]
    finally:
        if measured:
            _write(rows, measured)
    return 0 if all(is_verified) else 1


def _verify(name: str, row: Row, runs: Path, data_root: Path | None, measured: Measured) -> bool:
    """Train and measure a row, add it to those that were measured, and return whether it is as expected."""
    try:
        measurement, picture = measure(row, runs, data_root)
    except (TrainingError, ValueError) as error:
        print_error(f"{name}: {error}")
        return False
    measured[name] = measurement, picture
    estimate = measurement.estimate
    sys.stdout.write(f"{name}: {row.metric} {format_result(row, measurement)}\n")
    if row.expected is None:
        numbers = f"{{mean: {estimate.mean:.5g}, standard_error: {estimate.standard_error:.2g}}}"
        sys.stdout.write(f"  The row expects nothing yet; add `expected: {numbers}`.\n")
        return True
    distance = row.expected.count_standard_errors(estimate)
    sys.stdout.write(
        f"  expected {format_estimate(row.expected, row.unit)} within {row.tolerance:g} standard errors of the "
        f"difference, got {distance:.1f}\n"
    )
    return row.expects(estimate)


def _write(rows: dict[str, Row], measured: Measured) -> None:
    """Write the measurements, pictures and pages.

    They change the repository, and a measurement records whether the repository was changed. So this runs last.
    """
    for name, (_, picture) in measured.items():
        if picture is not None:
            shutil.copyfile(picture, get_picture(name))
    write_measurements({**read_measurements(), **{name: measurement for name, (measurement, _) in measured.items()}})
    write_pages(rows, read_measurements())


if __name__ == "__main__":
    sys.exit(main())
