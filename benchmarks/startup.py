"""Time from a command to its output, and from a command to its first training step."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.comparison import compare
from benchmarks.options import make_parser
from benchmarks.report import Cell, Table, report

_TRAIN = str(Path(sys.executable).with_name("train"))
_MNIST_VAE = "+experiment=MNIST_VAE"
_END = (
    "++callbacks.end={_target_: benchmarks.ticker.Ticker, tick: {_target_: benchmarks.first_step.end, _partial_: true}}"
)

ANSWERS = {
    "import hydra": [sys.executable, "-c", "import hydra"],
    "train --help": [_TRAIN, "--help"],
    "train --list": [_TRAIN, "--list"],
    "a mistake": [_TRAIN, _MNIST_VAE, "params.beat=1"],
}


@dataclass(frozen=True)
class Cost:
    """CPU and wall time of a command, in seconds."""

    cpu: float
    wall: float


def main() -> None:
    """Measure and print two tables."""
    options = make_parser(__doc__, n_rounds=10).parse_args()
    data_root = str(options.data_root.resolve())
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        steps = _make_first_steps(data_root, place)
        answers, first_steps = (_measure(commands, options.rounds) for commands in (ANSWERS, steps))
    tables = [
        Table("From the command to its answer", _make_rows(answers, "import hydra")),
        Table("From the command to the first training step", _make_rows(first_steps, "floor")),
    ]
    report(tables, options.json)


def _make_first_steps(data_root: str, place: str) -> dict[str, list[str]]:
    where = [f"device.data_root={data_root}", f"device.experiments_root={place}"]
    ours = [_TRAIN, _MNIST_VAE, *where, _END]
    return {
        "floor": [sys.executable, "-m", "benchmarks.first_step", "benchmarks.floor", data_root],
        "tutorial": [sys.executable, "-m", "benchmarks.first_step", "benchmarks.tutorial", data_root],
        "ours": [*ours, "logging=tensorboard"],
        "ours, W&B offline": ours,
    }


def _measure(commands: Mapping[str, Sequence[str]], n_rounds: int) -> dict[str, list[Cost]]:
    """Run each command once per round, after a warm-up round."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(n_rounds + 1):
        for name, command in commands.items():
            costs[name].append(_run(command))
    return {name: of_name[1:] for name, of_name in costs.items()}


def _run(command: Sequence[str]) -> Cost:
    environment = {**os.environ, "WANDB_MODE": "offline"}
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 2):
        raise RuntimeError(f"{command} ended with {process.returncode}.")
    return Cost(usage.ru_utime + usage.ru_stime, wall)


def _make_rows(costs: Mapping[str, Sequence[Cost]], base: str) -> dict[str, dict[str, Cell]]:
    """Return the cost of each command, and its ratio to the cost of the first."""
    cpu = {name: [cost.cpu for cost in of_name] for name, of_name in costs.items()}
    wall = {name: [cost.wall for cost in of_name] for name, of_name in costs.items()}
    return {
        name: {
            "CPU s": median(cpu[name]),
            f"CPU / {base}": compare(cpu[name], cpu[base]),
            f"CPU s - {base}": median(cpu[name]) - median(cpu[base]),
            "wall s": median(wall[name]),
            f"wall / {base}": compare(wall[name], wall[base]),
        }
        for name in costs
    }


if __name__ == "__main__":
    main()
