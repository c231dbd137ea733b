"""Cost of a training step of each shipped method, beside a loop written by hand.

Before it is timed, each loop must compute the same losses and gradients as the model.
"""

import argparse
import os
import tempfile
from itertools import islice
from pathlib import Path
from statistics import median

from benchmarks.by_hand import Parts, build
from benchmarks.comparison import compare
from benchmarks.loops.comparison import compare_losses
from benchmarks.loops.method import Method
from benchmarks.loops.table import METHODS
from benchmarks.options import make_parser, read_count
from benchmarks.report import Cell, Table, report
from benchmarks.turns import Contender, take_turns

N_COMPARED = 2
"""Number of batches whose losses are compared."""


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = make_parser(__doc__, n_rounds=8)
    parser.add_argument("methods", nargs="*", type=_read_name, metavar="METHOD", help="options of model; default: all")
    parser.add_argument("--steps", type=read_count, default=84, help="training steps in a turn, by default 84")
    options = parser.parse_args()
    _use_one_core()
    data_root = options.data_root.resolve()
    rows = {
        name: _measure(name, METHODS[name], data_root, options.rounds, options.steps)
        for name in options.methods or METHODS
    }
    report([Table("A training step of each method", rows)], options.json, as_markdown=True)


def _read_name(text: str) -> str:
    if text not in METHODS:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(METHODS)}, got {text!r}")
    return text


def _use_one_core() -> None:
    """Run this process and those of the contenders with one thread, and on one core if the system can."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _measure(name: str, method: Method, data_root: Path, n_rounds: int, n_steps: int) -> dict[str, Cell]:
    """Compare the losses of a method, and measure its steps.

    Raises:
        AssertionError: The losses differ.
    """
    parts = build(data_root, method)
    batches = [batch for _, batch in islice(parts.read_batches(), N_COMPARED)]
    compare_losses(parts.model, method, parts.settings, batches)
    contenders = {
        "by hand": Contender("benchmarks.by_hand.train", [name]),
        "ours": Contender("benchmarks.ours.train_alone", method.arguments),
    }
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        turns = take_turns(contenders, data_root, Path(place), n_rounds, n_steps)
    cpu = {name: [turn.cpu for turn in of_contender] for name, of_contender in turns.items()}
    n_examples = _count_examples(parts)
    return {
        "experiment": " ".join(method.arguments).removeprefix("+experiment="),
        "examples/s by hand": n_examples / median(cpu["by hand"]),
        "examples/s": n_examples / median(cpu["ours"]),
        "time / by hand": compare(cpu["ours"], cpu["by hand"]),
        "MiB by hand": turns["by hand"][-1].memory,
        "MiB": turns["ours"][-1].memory,
    }


def _count_examples(parts: Parts) -> float:
    """Return the mean number of examples of a step; each step of a generator or a discriminator counts."""
    n_examples = len(next(iter(parts.tensors.values())))
    of_batch = n_examples / -(-n_examples // parts.settings.batch_size)
    n_critic = getattr(parts.settings, "n_critic", None)
    return of_batch if n_critic is None else of_batch * n_critic / (n_critic + 1)


if __name__ == "__main__":
    main()
