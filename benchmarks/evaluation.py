"""Cost of the evaluations of `train +experiment=MNIST_VAE` at their shipped intervals."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.comparison import compare
from benchmarks.options import make_parser
from benchmarks.report import Cell, Table, report
from benchmarks.turns import Contender, Turn, take_turns
from frame_loggers.metrics_file import MetricsFile

CONTENDERS = {
    "none": Contender("benchmarks.ours.train"),
    "as shipped": Contender("benchmarks.ours.train_and_evaluate"),
}
STEPS_OF_EPOCH = 391
N_EPOCHS = 5
"""Number of epochs in which every evaluation runs at least once."""


def main() -> None:
    """Measure and print two tables."""
    options = make_parser(__doc__, n_rounds=3).parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        n_ticks = N_EPOCHS * STEPS_OF_EPOCH
        turns = take_turns(CONTENDERS, options.data_root.resolve(), Path(place), options.rounds, n_ticks)
        seconds = _read_seconds(Path(place) / "as shipped")
    n_turn_seconds = n_ticks * median(turn.wall for turn in turns["as shipped"])
    tables = [
        Table("A training step, with and without evaluations", {name: _make_row(name, turns) for name in CONTENDERS}),
        Table(
            "Each evaluation",
            {name: _make_cost_row(taken, options.rounds, n_turn_seconds) for name, taken in seconds.items()},
        ),
    ]
    report(tables, options.json)


def _make_row(name: str, turns: Mapping[str, Sequence[Turn]]) -> dict[str, Cell]:
    cpu, wall = ({key: [getattr(turn, part) for turn in turns[key]] for key in turns} for part in ("cpu", "wall"))
    return {
        "CPU ms": 1000 * median(cpu[name]),
        "CPU / none": compare(cpu[name], cpu["none"]),
        "wall ms": 1000 * median(wall[name]),
        "wall / none": compare(wall[name], wall["none"]),
    }


def _make_cost_row(taken: Sequence[float], n_rounds: int, n_turn_seconds: float) -> dict[str, Cell]:
    return {
        "seconds": median(taken),
        f"times in {N_EPOCHS} epochs": len(taken) / n_rounds,
        "part of the wall time": sum(taken) / n_rounds / n_turn_seconds,
    }


def _read_seconds(directory: Path) -> dict[str, list[float]]:
    """Read the seconds of each evaluation, by its name."""
    seconds: dict[str, list[float]] = {}
    for line in MetricsFile(directory).read():
        if line.seconds is not None:
            (name,) = line.values
            seconds.setdefault(name, []).append(line.seconds)
    return seconds


if __name__ == "__main__":
    main()
