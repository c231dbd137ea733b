import csv
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from frame_core import (
    HISTOGRAM_ENTRY,
    IMAGE_ENTRY,
    PLOT_ENTRY,
    SCALAR_ENTRY,
    SCALARS_ENTRY,
    TABLE_ENTRY,
    TEXT_ENTRY,
    LogEntry,
)
from frame_loggers.lightning import log_with


def log_every_type(logger: Logger, figure: Figure) -> None:
    entries = {
        "Scalar": LogEntry(SCALAR_ENTRY, 1.5),
        "Scalars": LogEntry(SCALARS_ENTRY, {"one": 1.0, "two": 2.0}),
        "Image": LogEntry(IMAGE_ENTRY, torch.rand(1, 8, 8)),
        "Plot": LogEntry(PLOT_ENTRY, figure),
        "Histogram": LogEntry(HISTOGRAM_ENTRY, torch.arange(10)),
        "Text": LogEntry(TEXT_ENTRY, "a text"),
        "Table": LogEntry(TABLE_ENTRY, {"x": [1, 2], "y": ["a", "b"]}),
    }
    for name, entry in entries.items():
        log_with(logger, name, entry, 7)
    logger.finalize("success")


def test_a_csv_file_has_the_numbers_and_one_warning_names_what_is_left_out(
    tmp_path: Path, figure: Figure, caplog: pytest.LogCaptureFixture
) -> None:
    log_every_type(CSVLogger(tmp_path, name="", version=""), figure)
    with open(tmp_path / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    logged = {name: float(value) for row in rows for name, value in row.items() if value}
    assert logged == {"step": 7, "Scalar": 1.5, "Scalars/one": 1, "Scalars/two": 2}
    messages = [record.getMessage() for record in caplog.records if record.name == "frame_loggers"]
    assert messages == ["CSVLogger can't show 'Image' (image). It leaves out such entries; the run directory has them."]


def test_lightnings_own_tensorboard_logger_shows_every_entry(
    tmp_path: Path, figure: Figure, caplog: pytest.LogCaptureFixture
) -> None:
    log_every_type(TensorBoardLogger(tmp_path, name="", version=""), figure)
    tags = EventAccumulator(str(tmp_path)).Reload().Tags()
    assert set(tags["scalars"]) == {"Scalar", "Scalars/one", "Scalars/two"}
    assert (set(tags["images"]), tags["histograms"]) == ({"Image", "Plot"}, ["Histogram"])
    assert set(tags["tensors"]) == {"Text/text_summary", "Table/text_summary"}
    assert [record for record in caplog.records if record.name == "frame_loggers"] == []


class Recorder(WandbLogger):
    """Lightning's logger for W&B, which records what it would log."""

    def __init__(self) -> None:
        self.logged: dict[str, object] = {}

    def log_metrics(self, metrics: dict[str, object], step: int | None = None) -> None:  # pyright: ignore
        assert step == 7
        self.logged |= metrics

    def finalize(self, status: str) -> None:
        """Do nothing: there is no run."""


def test_lightnings_own_wandb_logger_shows_all_except_histograms(
    figure: Figure, caplog: pytest.LogCaptureFixture
) -> None:
    logger = Recorder()
    log_every_type(logger, figure)
    assert set(logger.logged) == {"Scalar", "Scalars/one", "Scalars/two", "Image", "Plot", "Text", "Table"}
    messages = [record.getMessage() for record in caplog.records if record.name == "frame_loggers"]
    assert messages == [
        "Recorder can't show 'Histogram' (histogram). It leaves out such entries; the run directory has them."
    ]
