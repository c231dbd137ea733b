import io
import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
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
from frame_loggers import TensorBoardLogger


def read(directory: Path) -> Any:
    keep_all = dict.fromkeys(("scalars", "images", "histograms", "tensors"), 0)
    return EventAccumulator(str(directory), size_guidance=keep_all).Reload()


def read_image(directory: Path, name: str) -> Image.Image:
    (event,) = read(directory).Images(name)
    return Image.open(io.BytesIO(event.encoded_image_string))


def read_text(directory: Path, name: str) -> list[str]:
    events = read(directory).Tensors(f"{name}/text_summary")
    return [event.tensor_proto.string_val[0].decode() for event in events]


def test_event_files_are_directly_in_the_directory_without_other_files(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path / "$run")
    logger.log("Loss", LogEntry(SCALAR_ENTRY, 1.0), global_step=0)
    logger.finalize("success")
    (path,) = (tmp_path / "$run").iterdir()
    assert path.name.startswith("events.out.tfevents")


def test_each_scalar_and_each_counter_is_a_curve(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.log("ELBO", LogEntry(SCALARS_ENTRY, {"total": -2.0, "kl": math.inf}), 5, {"iteration": 7})
    logger.finalize("success")
    events = read(tmp_path)
    found = {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}
    assert found == {"ELBO/total": [(5, -2.0)], "ELBO/kl": [(5, math.inf)], "counters/iteration": [(5, 7.0)]}


def test_entries_after_finalize_are_logged(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    for step in (9, 3):
        logger.log("Loss", LogEntry(SCALAR_ENTRY, step), global_step=step)
        logger.finalize("success")
    assert [event.step for event in read(tmp_path).Scalars("Loss")] == [9, 3]


def test_an_image_of_one_half_is_128(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.log("RGB", LogEntry(IMAGE_ENTRY, torch.full((3, 1, 3), 0.5)), global_step=1)
    logger.log("Gray", LogEntry(IMAGE_ENTRY, torch.full((1, 1, 3), 0.5)), global_step=1)
    logger.finalize("success")
    for name in ("RGB", "Gray"):
        image = read_image(tmp_path, name)
        assert (image.size, image.getpixel((2, 0))) == ((3, 1), (128, 128, 128))


def test_a_plot_is_an_image_of_the_figure(tmp_path: Path, figure: Figure) -> None:
    figure.set_facecolor("red")
    logger = TensorBoardLogger(tmp_path)
    logger.log("Plot", LogEntry(PLOT_ENTRY, figure), global_step=1)
    logger.finalize("success")
    image = read_image(tmp_path, "Plot")
    assert (image.size, image.getpixel((0, 0))) == ((100, 50), (255, 0, 0, 255))


def test_a_histogram_counts_the_finite_values(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.log("Weights", LogEntry(HISTOGRAM_ENTRY, torch.tensor([0.0, 1.0, 1.0, math.nan])), global_step=1)
    logger.log("Broken", LogEntry(HISTOGRAM_ENTRY, torch.tensor([math.nan])), global_step=1)
    logger.finalize("success")
    (event,) = read(tmp_path).Histograms("Weights")
    histogram = event.histogram_value
    assert (histogram.min, histogram.max, histogram.num, histogram.sum) == (0, 1, 3, 2)
    assert (histogram.bucket_limit[:1], sum(histogram.bucket), histogram.bucket[1]) == ([0], 3, 1)


def test_a_table_is_text_with_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = TensorBoardLogger(tmp_path)
    for step in (1, 2):
        logger.log("Table", LogEntry(TABLE_ENTRY, {"x": [1, 2], "y": ["a|b", None]}), global_step=step)
    logger.log("Text", LogEntry(TEXT_ENTRY, "two\nlines ü"), global_step=2)
    logger.finalize("success")
    table = "| x | y |\n| --- | --- |\n| 1 | a\\|b |\n| 2 | None |"
    assert read_text(tmp_path, "Table") == [table, table]
    assert read_text(tmp_path, "Text") == ["two\nlines ü"]
    assert caplog.record_tuples == [
        ("frame_loggers", logging.WARNING, "TensorBoard does not support tables: they are logged as text.")
    ]


def test_a_nested_config_is_accepted(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.log_hyperparams({"params": {"layers": [1, 2], "none": None}, "callbacks": [{"a": 1}], "path": tmp_path})
    logger.finalize("success")
    assert list(tmp_path.rglob("hparams.yaml")) == []


def test_what_was_added_after_the_training_stays_when_the_events_are_cut_back(tmp_path: Path) -> None:
    training, later = TensorBoardLogger(tmp_path), TensorBoardLogger(tmp_path, evaluated=True)
    training.log("a", LogEntry(SCALAR_ENTRY, 1.0), 1)
    position = training.get_position()
    training.log("a", LogEntry(SCALAR_ENTRY, 2.0), 2)
    later.log("b", LogEntry(SCALAR_ENTRY, 3.0), 1)
    for logger in (training, later):
        logger.finalize("success")
    TensorBoardLogger(tmp_path).cut_back(position)
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.value for event in events.Scalars("a")] == [1.0]
    assert [event.value for event in events.Scalars("b")] == [3.0]
