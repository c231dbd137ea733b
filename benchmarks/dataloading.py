"""Cost of a shuffled batch of MNIST: sliced from a tensor, by the usual loader, and by ours."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.comparison import compare
from benchmarks.options import make_parser
from benchmarks.report import Cell, Table, report
from benchmarks.turns import Contender, Turn, take_turns

CONTENDERS = {name: Contender(f"benchmarks.{name}.load") for name in ("floor", "tutorial", "ours")}


def main() -> None:
    """Measure and print a table."""
    options = make_parser(__doc__, n_rounds=10).parse_args()
    with tempfile.TemporaryDirectory() as place:
        turns = take_turns(CONTENDERS, options.data_root.resolve(), Path(place), options.rounds, n_ticks=391)
    report([Table("A batch of 128", {name: _make_row(name, turns) for name in CONTENDERS})], options.json)


def _make_row(name: str, turns: Mapping[str, Sequence[Turn]]) -> dict[str, Cell]:
    cpu = {key: [turn.cpu for turn in turns[key]] for key in turns}
    return {
        "CPU ms": 1000 * median(cpu[name]),
        "CPU / floor": compare(cpu[name], cpu["floor"]),
        "CPU / tutorial": compare(cpu[name], cpu["tutorial"]),
    }


if __name__ == "__main__":
    main()
