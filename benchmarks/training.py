"""Cost of a training step: the floor, the usual tutorial, and `train +experiment=MNIST_VAE`.

On a GPU, the floor replays CUDA graphs, and two more contenders are ours with options that are faster there.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import torch

from benchmarks.comparison import compare
from benchmarks.options import make_parser, read_count
from benchmarks.report import Cell, Table, report
from benchmarks.turns import Contender, Turn, take_turns

_ON_GPU = ("trainer.accelerator=gpu",)
_COMPILED = ("optimization.compile=reduce-overhead",)
_IN_GROUPS = ("optimization.steps_per_execution=16",)
CONTENDERS = {
    "cpu": {
        "floor": Contender("benchmarks.floor.train"),
        "tutorial": Contender("benchmarks.tutorial.train"),
        "ours": Contender("benchmarks.ours.train", ["trainer.accelerator=cpu"]),
    },
    "cuda": {
        "floor": Contender("benchmarks.cuda_graph.train"),
        "tutorial": Contender("benchmarks.tutorial.train_on_gpu"),
        "ours": Contender("benchmarks.ours.train", _ON_GPU),
        "ours, compiled": Contender("benchmarks.ours.train", [*_ON_GPU, *_COMPILED]),
        "ours, compiled, groups of 16 steps": Contender("benchmarks.ours.train", [*_ON_GPU, *_COMPILED, *_IN_GROUPS]),
    },
}
BATCH_SIZE = 128
PYTHAE = Contender(
    "benchmarks.pythae.train",
    python=("uv", "run", "--no-project", "--isolated", "--with", "pythae==0.1.2", "python"),
)


def main() -> None:
    """Measure and print a table."""
    parser = make_parser(__doc__, n_rounds=20)
    parser.add_argument("--steps", type=read_count, default=100, help="training steps in a turn, by default 100")
    parser.add_argument("--device", choices=CONTENDERS, default="cpu", help="what is trained on, by default cpu")
    parser.add_argument("--pythae", action="store_true", help="also measure pythae, in its own environment")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no GPU on this machine")
    contenders = {**CONTENDERS[options.device], **({"pythae": PYTHAE} if options.pythae else {})}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        turns = take_turns(contenders, options.data_root.resolve(), Path(place), options.rounds, options.steps)
    rows = {name: _make_row(name, turns) for name in contenders}
    report([Table(f"A training step of MNIST_VAE, batch 128, {options.device}", rows)], options.json)


def _make_row(name: str, turns: Mapping[str, Sequence[Turn]]) -> dict[str, Cell]:
    """Return the costs of a contender, and their ratios to those of the floor and the tutorial."""
    cpu, wall, memory = (
        {key: [getattr(turn, part) for turn in turns[key]] for key in turns} for part in ("cpu", "wall", "memory")
    )
    return {
        "CPU ms": 1000 * median(cpu[name]),
        "CPU / floor": compare(cpu[name], cpu["floor"]),
        "wall / floor": compare(wall[name], wall["floor"]),
        "images/s": BATCH_SIZE / median(wall[name]),
        "images/s / tutorial": compare(wall["tutorial"], wall[name]),
        "memory MiB": memory[name][-1],
        "memory / floor": memory[name][-1] / memory["floor"][-1],
    }


if __name__ == "__main__":
    main()
