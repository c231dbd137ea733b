"""Growth of the cost of `train +experiment=MNIST_VAE` with batch size, evaluations, examples, processes and runs."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.comparison import compare
from benchmarks.floor import N_TRAIN
from benchmarks.options import make_parser
from benchmarks.report import Cell, Table, report
from benchmarks.turns import Contender, take_turns
from frame_loggers.metrics_file import MetricsFile

BATCH_SIZES = (32, 128, 512, 2048)
N_EVALUATORS = (0, 4, 16, 64)
COPIES = (1, 10, 100)
"""Numbers of copies of the training images, 37 MiB each, in memory."""

N_RUNS = (1, 4)

_TRAIN = (str(Path(sys.executable).with_name("train")), "+experiment=MNIST_VAE", "logging=none")
_WITHOUT_EVALUATIONS = (
    *(f"~evaluation.{name}" for name in ("elbo_train", "elbo_validation", "reconstructions", "samples")),
    "~callbacks.best_checkpoint",
)
_EVALUATOR = (
    "++evaluation.e{0}={{_target_: frame_train.callbacks.EvaluationCallback, name: E{0}, "
    "evaluate_every: 1000000 epochs, evaluator: {{_target_: frame_eval.ELBOEvaluation, evaluate_on: valid}}}}"
)


def main() -> None:
    """Measure and print a table for each quantity."""
    options = make_parser(__doc__, n_rounds=6).parse_args()
    data_root = options.data_root.resolve()
    tables = [
        Table("The batch", _compare_batch_sizes(data_root, options.rounds)),
        Table("Evaluators that are not due", _compare_evaluators(data_root, options.rounds)),
        Table("The data in memory", _compare_copies(data_root, options.rounds)),
        Table("Processes, one thread each", _compare_processes(data_root, options.rounds)),
        Table("Runs of a step in a sweep", _compare_runs(data_root, options.rounds)),
    ]
    report(tables, options.json)


def _compare_batch_sizes(data_root: Path, n_rounds: int) -> dict[str, dict[str, Cell]]:
    rows: dict[str, dict[str, Cell]] = {}
    for size in BATCH_SIZES:
        contenders = {
            "floor": Contender("benchmarks.floor.train", [str(size)]),
            "ours": Contender("benchmarks.ours.train", [f"params.batch_size={size}"]),
        }
        rows[str(size)] = _compare_with_floor(
            contenders, data_root, n_rounds, n_ticks=10 * max(1, 820 // size), size=size
        )
    return rows


def _compare_copies(data_root: Path, n_rounds: int) -> dict[str, dict[str, Cell]]:
    rows: dict[str, dict[str, Cell]] = {}
    for copies in COPIES:
        ours = f"data.train={{_target_: benchmarks.large.repeat, root: {data_root}, copies: {copies}}}"
        contenders = {
            "floor": Contender("benchmarks.floor.train", ["128", str(copies)]),
            "ours": Contender("benchmarks.ours.train", ["~data.train", f"+{ours}"]),
        }
        rows[f"{copies * N_TRAIN:,}"] = _compare_with_floor(contenders, data_root, n_rounds, n_ticks=60, size=128)
    return rows


def _compare_with_floor(
    contenders: Mapping[str, Contender], data_root: Path, n_rounds: int, n_ticks: int, size: int
) -> dict[str, Cell]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        turns = take_turns(contenders, data_root, Path(place), n_rounds, n_ticks)
    floor, ours = turns["floor"], turns["ours"]
    return {
        "images/s": size / median(turn.wall for turn in ours),
        "CPU / floor": compare([turn.cpu for turn in ours], [turn.cpu for turn in floor]),
        "memory MiB": ours[-1].memory,
        "memory / floor": ours[-1].memory / floor[-1].memory,
    }


def _compare_evaluators(data_root: Path, n_rounds: int) -> dict[str, dict[str, Cell]]:
    contenders = {
        str(n): Contender(
            "benchmarks.ours.train", [*_WITHOUT_EVALUATIONS, *(_EVALUATOR.format(index) for index in range(n))]
        )
        for n in N_EVALUATORS
    }
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        turns = take_turns(contenders, data_root, Path(place), n_rounds, n_ticks=60)
    cpu = {name: [turn.cpu for turn in of_name] for name, of_name in turns.items()}
    return {name: {"CPU ms": 1000 * median(cpu[name]), "CPU / none": compare(cpu[name], cpu["0"])} for name in cpu}


def _compare_processes(data_root: Path, n_rounds: int) -> dict[str, dict[str, Cell]]:
    """Compare one process with a batch of 256 to two with 128 each."""
    commands = {
        "1": ["params.batch_size=256"],
        "2": ["params.batch_size=128", "trainer.devices=2", "trainer.strategy=ddp"],
    }
    rates: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(n_rounds):
        for name, overrides in commands.items():
            rates[name].append(_measure_rate(data_root, overrides))
    return {
        name: {"images/s": median(rates[name]), "images/s / one process": compare(rates[name], rates["1"])}
        for name in commands
    }


def _measure_rate(data_root: Path, overrides: Sequence[str]) -> float:
    """Measure the images per second from the first entry of the training log to the last."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        _run(data_root, place, [*overrides, "trainer.max_epochs=2", "callbacks.training_log.log_every=50 global_steps"])
        (path,) = Path(place).glob("MNIST/VAE/*/metrics.jsonl")
        of_training = [line for line in MetricsFile(path.parent).read() if "Train/loss" in line.values]
        first, last = of_training[0], of_training[-2]  # the very last entry is logged after training
        return 256 * (last.global_step - first.global_step) / (last.time - first.time)


def _compare_runs(data_root: Path, n_rounds: int) -> dict[str, dict[str, Cell]]:
    """Compare a grid of several runs, each of one step, with one run."""
    seconds: dict[str, list[float]] = {str(n): [] for n in N_RUNS}
    for _ in range(n_rounds):
        for n in N_RUNS:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
                start = time.perf_counter()
                values = ",".join(map(str, range(1, n + 1)))
                _run(data_root, place, ["-m", f"params.beta={values}", "trainer.max_steps=1"])
                seconds[str(n)].append(time.perf_counter() - start)
    return {
        name: {"seconds": median(seconds[name]), "seconds / one run": compare(seconds[name], seconds["1"])}
        for name in seconds
    }


def _run(data_root: Path, place: str, arguments: Sequence[str]) -> None:
    command = [
        *_TRAIN,
        f"device.data_root={data_root}",
        f"device.experiments_root={place}",
        *_WITHOUT_EVALUATIONS,
        *arguments,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
