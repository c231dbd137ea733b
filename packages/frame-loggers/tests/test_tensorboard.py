import io
import logging
import math
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
import yaml
from matplotlib.figure import Figure
from PIL import Image
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.data.provider import ListHyperparametersResult
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.list_session_groups import Handler

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


def test_each_scalar_is_a_curve_and_a_counter_is_none(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.log("ELBO", LogEntry(SCALARS_ENTRY, {"total": -2.0, "kl": math.inf}), 5, {"iteration": 7})
    logger.finalize("success")
    events = read(tmp_path)
    found = {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}
    assert found == {"ELBO/total": [(5, -2.0)], "ELBO/kl": [(5, math.inf)]}


def test_entries_after_finalize_are_logged(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    for step in (9, 3):
        logger.log("Loss", LogEntry(SCALAR_ENTRY, step), global_step=step)
        logger.finalize("success")
    steps = [event.step for event in read(tmp_path).Scalars("Loss")]
    assert sorted(steps) == [3, 9]  # two files of one second are read in the order of their names


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


def list_sessions(directory: Path) -> list[tuple[str, dict[str, Any], dict[str, float]]]:
    """Return the name, the hyperparameters and the metrics of each run on TensorBoard's tab HParams."""
    events = EventMultiplexer().AddRunsFromDirectory(str(directory)).Reload()
    context: Any = Context(TBContext(data_provider=MultiplexerDataProvider(events, str(directory))))
    request = RequestContext()
    metadata = context.hparams_metadata(request, "")
    experiment = context.experiment_from_metadata(request, "", True, metadata, ListHyperparametersResult([], []))
    columns = [api_pb2.ColParams(metric=info.name) for info in experiment.metric_infos]
    statuses = [api_pb2.STATUS_UNKNOWN]
    query = api_pb2.ListSessionGroupsRequest(slice_size=100, allowed_statuses=statuses, col_params=columns)
    groups = Handler(request, context, "", query).run().session_groups
    return [
        (
            session.name,
            {name: value.number_value or value.string_value for name, value in group.hparams.items()},
            {metric.name.tag: metric.value for metric in session.metric_values},
        )
        for group in groups
        for session in group.sessions
    ]


def test_the_hparams_tab_has_the_params_and_the_last_metrics_of_each_run(tmp_path: Path) -> None:
    for name, beta in (("first", 0.5), ("second", 1.0)):
        logger = TensorBoardLogger(tmp_path / "VAE" / name)
        params = {"beta": beta, "layers": [8, 4], "none": None}
        logger.log_hyperparams({"params": params, "seed": 3, "trainer": {"max_epochs": 1}})
        for step, value in enumerate((5.0, 2.0 * beta)):
            logger.log("A/B", LogEntry(SCALAR_ENTRY, value), step)
        logger.finalize("success")
    common = {"layers": "[8, 4]", "seed": 3.0}
    assert sorted(list_sessions(tmp_path), key=lambda session: session[0]) == [
        ("VAE/first", {"beta": 0.5, **common}, {"A/B": 1.0}),
        ("VAE/second", {"beta": 1.0, **common}, {"A/B": 2.0}),
    ]


def test_a_config_is_logged_as_text(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.log_hyperparams({"params": {"layers": [1, 2], "none": None}, "callbacks": [{"a": "ü"}], "path": Path("x")})
    logger.finalize("success")
    (text,) = read_text(tmp_path, "config")
    config = {"params": {"layers": [1, 2], "none": None}, "callbacks": [{"a": "ü"}], "path": "x"}
    assert yaml.safe_load(dedent(text)) == config
    assert all(line.startswith("    ") for line in text.splitlines()), "Markdown shows indented lines as they are"
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
