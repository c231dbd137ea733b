import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

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
from frame_loggers import FileLogger

GRAY = LogEntry(IMAGE_ENTRY, torch.full((1, 2, 3), 0.5))


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not valid JSON")


def read(directory: Path) -> list[dict[str, Any]]:
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


def test_nothing_is_written_before_the_first_entry(tmp_path: Path) -> None:
    FileLogger(tmp_path / "run").finalize("success")
    assert not (tmp_path / "run").exists()


def test_a_line_has_the_step_the_time_the_counters_and_the_value(tmp_path: Path) -> None:
    logger = FileLogger(tmp_path / "deep" / "run")
    logger.log("Loss", LogEntry(SCALAR_ENTRY, 1.5), global_step=3, counters={"iteration": 7})
    (line,) = read(tmp_path / "deep" / "run")
    assert line.pop("time") > 1e9
    assert line == {"trainer/global_step": 3, "counters/iteration": 7, "Loss": 1.5}


def test_a_line_has_the_duration_of_the_evaluation_if_it_was_measured(tmp_path: Path) -> None:
    logger = FileLogger(tmp_path)
    logger.log("Loss", LogEntry(SCALAR_ENTRY, 1.5, seconds=0.25))
    (line,) = read(tmp_path)
    assert line["seconds"] == 0.25
    assert dict(logger.last_values) == {"Loss": (1.5, None)}


def test_an_unknown_step_is_null(tmp_path: Path) -> None:
    FileLogger(tmp_path).log("Loss", LogEntry(SCALAR_ENTRY, 1.5))
    assert read(tmp_path)[0]["trainer/global_step"] is None


def test_several_scalars_are_on_one_line_under_their_full_names(tmp_path: Path) -> None:
    FileLogger(tmp_path).log("ELBO/Valid", LogEntry(SCALARS_ENTRY, {"total": -2.0, "kl": 1.0}), global_step=1)
    (line,) = read(tmp_path)
    assert (line["ELBO/Valid/total"], line["ELBO/Valid/kl"]) == (-2.0, 1.0)


@pytest.mark.parametrize(("value", "text"), [(math.inf, "Infinity"), (-math.inf, "-Infinity"), (math.nan, "NaN")])
def test_a_number_that_is_not_finite_is_a_string_that_float_parses(tmp_path: Path, value: float, text: str) -> None:
    logger = FileLogger(tmp_path)
    logger.log("Loss", LogEntry(SCALAR_ENTRY, value))
    logger.log("Table", LogEntry(TABLE_ENTRY, {"column": [value]}))
    scalar, table = read(tmp_path)
    assert scalar["Loss"] == text
    assert table["Table"] == {"column": [text]}
    assert repr(float(text)) == repr(value)


def test_numbers_of_lightning_are_in_the_same_file(tmp_path: Path) -> None:
    logger = FileLogger(tmp_path)
    logger.log_metrics({"loss": torch.tensor(0.25), "epoch": 1}, step=5)
    logger.log_hyperparams({"layers": [1, 2], "nested": {"none": None}})
    (line,) = read(tmp_path)
    assert (line["loss"], line["epoch"], line["trainer/global_step"]) == (0.25, 1, 5)


def test_last_values_are_the_latest_with_their_steps(tmp_path: Path) -> None:
    logger = FileLogger(tmp_path)
    logger.log("ELBO", LogEntry(SCALARS_ENTRY, {"valid": 1.0}), global_step=1)
    logger.log("ELBO", LogEntry(SCALARS_ENTRY, {"valid": 2.0}), global_step=9)
    logger.log("Gray", GRAY, global_step=9)
    logger.log_metrics({"loss": 0.5}, step=10)
    assert dict(logger.last_values) == {"ELBO/valid": (2.0, 9), "loss": (0.5, 10)}


@pytest.mark.parametrize("name", ["time", "seconds", "trainer/global_step", "counters/iteration"])
def test_a_reserved_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        FileLogger(tmp_path).log(name, LogEntry(SCALAR_ENTRY, 1.0), counters={"iteration": 1})
    assert list(tmp_path.iterdir()) == []


def test_an_image_of_one_half_is_128_in_every_channel(tmp_path: Path) -> None:
    logger = FileLogger(tmp_path)
    for n_channels, mode in ((1, "L"), (3, "RGB"), (4, "RGBA")):
        logger.log(mode, LogEntry(IMAGE_ENTRY, torch.full((n_channels, 1, 3), 0.5)), global_step=20)
        image = Image.open(tmp_path / read(tmp_path)[-1][mode])
        assert (image.mode, image.size) == (mode, (3, 1))
        assert image.getpixel((2, 0)) == (128 if n_channels == 1 else (128,) * n_channels)


def test_rows_of_an_image_are_ordered_from_top_to_bottom(tmp_path: Path) -> None:
    pixels = torch.arange(6, dtype=torch.uint8).reshape(1, 2, 3)
    FileLogger(tmp_path).log("Ramp", LogEntry(IMAGE_ENTRY, pixels))
    image = Image.open(tmp_path / read(tmp_path)[0]["Ramp"])
    assert list(image.tobytes()) == [0, 1, 2, 3, 4, 5]


def test_a_plot_is_an_image_of_the_figure(tmp_path: Path, figure: Figure) -> None:
    figure.set_facecolor("red")
    FileLogger(tmp_path).log("Plot", LogEntry(PLOT_ENTRY, figure), global_step=1)
    image = Image.open(tmp_path / read(tmp_path)[0]["Plot"])
    assert image.size == (100, 50)
    assert image.getpixel((0, 0)) == (255, 0, 0, 255)


def test_no_image_replaces_another(tmp_path: Path) -> None:
    names = ["a/b", "a_b", "a b", "A/b", "a/b", "a_b-00000001-1", "a_b-1"]
    shades = dict(enumerate(range(10, 10 * len(names) + 1, 10)))
    for index, name in enumerate(names):  # a new logger each, as for a run that is resumed in its directory
        FileLogger(tmp_path).log(name, LogEntry(IMAGE_ENTRY, torch.full((1, 1, 1), shades[index]).byte()), 1)
    lines = read(tmp_path)
    shades_read = [Image.open(tmp_path / line[name]).getpixel((0, 0)) for name, line in zip(names, lines)]
    assert shades_read == list(shades.values())
    assert len(list((tmp_path / "images").iterdir())) == len(names)


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "..", "", "a" * 300, "Ü\n\0x", "C:\\x"])
def test_an_image_is_in_its_folder_for_any_name(tmp_path: Path, name: str) -> None:
    FileLogger(tmp_path / "runs" / "run").log(name, GRAY)
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file() and path.name != "metrics.jsonl")
    assert path.parent == tmp_path / "runs" / "run" / "images"
    assert read(tmp_path / "runs" / "run")[0][name] == f"images/{path.name}"
    assert set(path.name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def test_a_histogram_has_edges_and_counts_and_excludes_non_finite_values(tmp_path: Path) -> None:
    FileLogger(tmp_path).log("Weights", LogEntry(HISTOGRAM_ENTRY, torch.tensor([0.0, 1.0, 1.0, math.nan, math.inf])))
    histogram = read(tmp_path)[0]["Weights"]
    assert len(histogram["edges"]) == len(histogram["counts"]) + 1
    assert (histogram["edges"][0], histogram["edges"][-1]) == (0.0, 1.0)
    assert (histogram["counts"][0], histogram["counts"][-1], sum(histogram["counts"])) == (1, 2, 3)
    assert histogram["non_finite"] == 2


def test_a_text_is_a_string_and_a_table_an_object_of_columns(tmp_path: Path) -> None:
    logger = FileLogger(tmp_path)
    logger.log("Text", LogEntry(TEXT_ENTRY, "two\nlines ü"))
    logger.log("Table", LogEntry(TABLE_ENTRY, {"x": [1, torch.tensor(2.5)], "y": ["a", None]}))
    text, table = read(tmp_path)
    assert text["Text"] == "two\nlines ü"
    assert table["Table"] == {"x": [1, 2.5], "y": ["a", None]}


def test_what_was_added_after_the_training_stays_when_the_log_is_cut_back(tmp_path: Path) -> None:
    picture = LogEntry(IMAGE_ENTRY, torch.zeros(1, 4, 4))
    training, later = FileLogger(tmp_path), FileLogger(tmp_path, evaluated=True)
    training.log("a", LogEntry(SCALAR_ENTRY, 1.0), 1)
    position = training.get_position()
    training.log("b", picture, 2)
    later.log("c", picture, 1)
    later.log("d", LogEntry(SCALAR_ENTRY, 2.0), 1)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"e": 1')  # cut off
    resumed = FileLogger(tmp_path)
    resumed.cut_back(position)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line.get("a"), line.get("c"), line.get("d"), line.get("evaluated")) for line in lines] == [
        (1.0, None, None, None),
        (None, "images/c-00000001.png", None, True),
        (None, None, 2.0, True),
    ]
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["c-00000001.png"]
    assert resumed.last_values == {"a": (1.0, 1), "d": (2.0, 1)}
    resumed.cut_back(resumed.get_position())
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 3
