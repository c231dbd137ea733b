"""Training with 1, 2 and 4 processes on the CPU: loss curves on one figure, and the memory of a sharded model."""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.distributed.tensor import DTensor

from benchmarks.options import make_parser
from benchmarks.report import Cell, Table, report
from frame_loggers.metrics_file import MetricsFile

FIGURE = Path(__file__).parents[1] / "docs" / "images" / "processes.png"
CURVES = (
    "+experiment=DIGITS_Classifier",
    "params.batch_size=128",
    "optimization.global_batch_size=128",
    "trainer.max_epochs=15",
    "callbacks.training_log.log_every=5 iterations",
)
LARGE = (
    "+experiment=DIGITS_VAE",
    "params.encoder_layers=[4096,4096,4096]",
    "params.decoder_layers=[64]",
    "trainer.devices=2",
    "trainer.max_steps=4",
    *(f"~evaluation.{name}" for name in ("reconstructions", "samples", "elbo_validation", "elbo_train")),
    *(f"~callbacks.{name}" for name in ("last_checkpoint", "best_checkpoint")),
    "+callbacks.memory._target_=benchmarks.processes.PeakMemory",
)
STRATEGIES = {
    "ddp": "trainer.strategy=ddp",
    "sharded": "trainer.strategy={_target_:frame_train.optimization.ShardedStrategy,parts:[encoder.network.1.*]}",
}


class PeakMemory(Callback):
    """Callback that writes the memory of each rank into the run directory when training ends."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        path = Path(trainer.default_root_dir) / f"memory-{trainer.global_rank}.json"
        own = sum(_count_bytes(parameter) for parameter in pl_module.parameters())
        path.write_text(json.dumps({"peak in MB": _read_peak(), "parameters in MB": own / 2**20}))


def main() -> None:
    """Train, draw the figure, and print a table."""
    options = make_parser(__doc__, n_rounds=1).parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        _draw({n: _read_losses(_train(Path(place), *CURVES, f"trainer.devices={n}")) for n in (1, 2, 4)})
        rows = {name: _make_row(_train(Path(place), *LARGE, strategy)) for name, strategy in STRATEGIES.items()}
    report([Table("Memory of each of two ranks, with a model of 34 million parameters", rows)], options.json)


def _train(place: Path, *arguments: str) -> Path:
    """Train in a folder of its own, and return the run directory."""
    root = Path(tempfile.mkdtemp(dir=place))
    common = ("logging=none", "trainer.accelerator=cpu", f"device.experiments_root={root}")
    command = [sys.executable, "-m", "frame_train", *arguments, *common]
    subprocess.run(command, check=True, capture_output=True)
    (description,) = root.glob("*/*/*/run.json")
    return description.parent


def _read_losses(directory: Path) -> dict[int, float]:
    lines = [line.flatten() for line in MetricsFile(directory).read()]
    return {line["trainer/global_step"]: line["Train/loss"] for line in lines if "Train/loss" in line}


def _draw(curves: dict[int, dict[int, float]]) -> None:
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for n_processes, style in zip(curves, ("-", "--", ":")):
        label = f"{n_processes} process{'es' if n_processes > 1 else ''}"
        axes.plot(list(curves[n_processes]), list(curves[n_processes].values()), style, label=label, linewidth=2)
    axes.set(xlabel="optimizer step", ylabel="training loss in nats")
    axes.legend()
    figure.savefig(FIGURE, dpi=100)


def _make_row(directory: Path) -> dict[str, Cell]:
    read: list[dict[str, Any]] = [json.loads(path.read_text()) for path in sorted(directory.glob("memory-*.json"))]
    return {f"rank {rank}: {name}": value for rank, part in enumerate(read) for name, value in part.items()}


def _count_bytes(parameter: Tensor) -> int:
    """Count the bytes of a parameter in this process."""
    own = parameter.to_local() if isinstance(parameter, DTensor) else parameter
    return own.numel() * own.element_size()


def _read_peak() -> float:
    """Return the greatest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
