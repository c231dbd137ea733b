"""Command-line options of every benchmark."""

import argparse
from pathlib import Path


def make_parser(description: str | None, n_rounds: int) -> argparse.ArgumentParser:
    """Make the command-line parser of a benchmark.

    Args:
        description: Description of the measurement.
        n_rounds: Default number of rounds.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print numbers instead of tables")
    parser.add_argument(
        "--rounds", type=_read_rounds, default=n_rounds, help=f"turns of each contender, by default {n_rounds}"
    )
    parser.add_argument("--data-root", type=_read_folder, default=Path("data"), help="folder of MNIST, by default data")
    return parser


def _read_rounds(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"a spread needs two rounds or more, got {text!r}")
    return int(text)


def read_count(text: str) -> int:
    """Return a positive number of an option.

    Raises:
        ArgumentTypeError: The text is not one.
    """
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text!r}")
    return int(text)


def _read_folder(text: str) -> Path:
    if not (Path(text) / "MNIST" / "raw").is_dir():
        raise argparse.ArgumentTypeError(f"there is no MNIST/raw in {text!r}")
    return Path(text)
