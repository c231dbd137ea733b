import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from pytorch_lightning import LightningModule, Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader

import frame_loggers
from frame_core import EntryLogger
from frame_core.testing import check_logger
from frame_loggers import FileLogger, TensorBoardLogger, WandbLogger

Logged = Sequence[tuple[str, int]]


def make_logger(name: str, directory: Path) -> Any:
    if name == "WandbLogger":
        return WandbLogger(project="project", name="run", directory=directory)
    return getattr(frame_loggers, name)(directory)


def read_file(directory: Path) -> Logged:
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [
        (name, line["trainer/global_step"])
        for line in lines
        for name in line
        if not name.startswith(("trainer/", "time", "counters/"))
    ]


def read_tensorboard(directory: Path) -> Logged:
    events: Any = EventAccumulator(
        str(directory), dict.fromkeys(("scalars", "images", "histograms", "tensors"), 0)
    ).Reload()
    kinds = {"scalars": events.Scalars, "images": events.Images, "histograms": events.Histograms}
    logged = [(tag, event.step) for kind, read in kinds.items() for tag in events.Tags()[kind] for event in read(tag)]
    texts = [(tag, event.step) for tag in events.Tags()["tensors"] for event in events.Tensors(tag)]
    logged += [(tag.removesuffix("/text_summary"), step) for tag, step in texts]
    return [(tag, step) for tag, step in logged if not tag.startswith("counters/")]


def read_history(records: list[dict[str, Any]]) -> Logged:
    items = [record["history"]["item"] for record in records if record["type"] == "history"]
    return [
        (name, item["trainer/global_step"])
        for item in items
        for name in dict.fromkeys(key.split(".")[0] for key in item)
        if not name.startswith(("trainer/", "counters/", "_"))
    ]


@pytest.mark.parametrize("name", frame_loggers.__all__)
def test_every_logger_satisfies_the_contract(
    name: str, tmp_path: Path, figure: Figure, read_wandb: Callable[[Path], list[dict[str, Any]]]
) -> None:
    logger = make_logger(name, tmp_path)
    canvas = figure.canvas

    def read() -> Logged:
        logger.finalize("success")
        if name == "WandbLogger":
            return read_history(read_wandb(tmp_path))
        return {"FileLogger": read_file, "TensorBoardLogger": read_tensorboard}[name](tmp_path)

    check_logger(logger, read, figure)
    assert figure.canvas is canvas


class TinyModule(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        loss = (self.weight * batch).mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*LeafSpec.* is deprecated:FutureWarning")  # Lightning's own use of torch
def test_every_logger_records_what_lightning_logs_with_its_step(
    tmp_path: Path, read_wandb: Callable[[Path], list[dict[str, Any]]]
) -> None:
    loggers = [make_logger(name, tmp_path / name) for name in frame_loggers.__all__]
    assert all(isinstance(logger, EntryLogger) for logger in loggers)
    trainer = Trainer(
        logger=loggers,
        max_steps=2,
        accelerator="cpu",
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    data: Any = torch.ones(4, 1)
    trainer.fit(TinyModule(), DataLoader(data, batch_size=2))
    losses = [("loss", 0), ("loss", 1)]
    assert [logged for logged in read_file(tmp_path / "FileLogger") if logged[0] == "loss"] == losses
    assert [logged for logged in read_tensorboard(tmp_path / "TensorBoardLogger") if logged[0] == "loss"] == losses
    history = read_history(read_wandb(tmp_path / "WandbLogger"))
    assert [logged for logged in history if logged[0] == "loss"] == losses


def test_only_rank_zero_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytorch_lightning.utilities import rank_zero_only

    from frame_core import SCALAR_ENTRY, LogEntry

    monkeypatch.setattr(rank_zero_only, "rank", 1)
    for logger in (FileLogger(tmp_path), TensorBoardLogger(tmp_path), make_logger("WandbLogger", tmp_path)):
        logger.log("Loss", LogEntry(SCALAR_ENTRY, 1.0), global_step=0)
        logger.log_metrics({"loss": 1.0}, 0)
        logger.finalize("success")
    assert list(tmp_path.iterdir()) == []
