import json
import os
import random
import re
import subprocess
import sys
import unicodedata
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from omegaconf import OmegaConf

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
from frame_train.report import write_report
from frame_train.runs.directory import write_description
from frame_train.runs.record import Point, read_record

HOSTILE = "</style><script>alert('1')</script>\"&<b>{{ 7 * 7 }}{% endif %}"
VOID = {"meta", "img"}


class Page(HTMLParser):
    """The tags and texts of a page, which must be well-formed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def write_config(directory: Path, name: str = "VAE") -> None:
    config = OmegaConf.create(
        {
            "run": {"project": "MNIST", "name": name},
            "seed": 17,
            "params": {"beta": 0.25, "layers": [64, 32], "secret": "${oc.env:HOME}"},
            "device": {"name": "gpu_box"},
            "monitor": {"metric": None, "mode": "max"},
        }
    )
    write_description(directory, config, ["+experiment=X", "params.beta=0.25"])


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return the directory of a run with entries of every type, some of them repeated."""
    directory = tmp_path / "run"
    directory.mkdir()
    write_config(directory)
    logger = FileLogger(directory)
    generator = torch.Generator().manual_seed(0)
    for step in range(100, 900, 100):
        counters = {"iteration": step, "generator_step": step // 4}
        logger.log("Train", LogEntry(SCALARS_ENTRY, {"loss": 1e3 / step, "penalty": step / 7}), step, counters)
        logger.log("ELBO/Validation", LogEntry(SCALAR_ENTRY, -9000.5 / step), step, counters)
        digits = torch.rand(1, 8, 8, generator=generator)
        logger.log("Images/Samples", LogEntry(IMAGE_ENTRY, digits), step, counters)
        logger.log("Weights", LogEntry(HISTOGRAM_ENTRY, torch.randn(50, generator=generator)), step)
    figure = Figure()
    figure.subplots().plot([1, 2])
    logger.log("Latents", LogEntry(PLOT_ENTRY, figure), 800)
    logger.log("Notes", LogEntry(TEXT_ENTRY, "two\nlines"), 800)
    logger.log("Confusion", LogEntry(TABLE_ENTRY, {"true": ["zero", "one"], "predicted": [0.25, None]}), 800)
    logger.log("Test/once", LogEntry(SCALAR_ENTRY, 0.98765432), None)
    return directory


def test_the_page_is_the_only_file_that_is_written(directory: Path) -> None:
    before = set(directory.iterdir())
    path = write_report(directory)
    assert path == directory / "report.html"
    assert set(directory.iterdir()) - before == {path}
    first = path.read_bytes()
    assert write_report(directory).read_bytes() == first


def test_the_page_is_well_formed_and_loads_nothing(directory: Path) -> None:
    page = Page(write_report(directory))
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"link", "iframe", "object", "embed", "base", "audio", "video", "source"}
    addresses = [attributes.get(key) for _, attributes in page.tags for key in ("src", "href", "srcset", "data")]
    links = {attributes.get("href") for attributes in page.attributes("a")}
    assert links == {"./", "images/"}  # followed on a click only
    assert all(address in {None, *links} or address.startswith("data:image/png;base64,") for address in addresses)
    assert "http" not in re.sub(r'http-equiv="|https://github.com/leeoniya/uPlot', "", page.source)
    assert "url(" not in page.source
    assert "@import" not in page.source


@pytest.mark.parametrize(
    ("url", "is_linked"),
    [
        ("https://wandb.example/a/b/runs/c", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        (7, False),
    ],
)
def test_the_page_links_to_the_run_on_the_web_only(directory: Path, url: Any, is_linked: bool) -> None:
    (directory / "wandb").mkdir()
    identity = {"entity": "a", "project": "b", "id": "c", "url": url}
    (directory / "wandb" / "run.json").write_text(json.dumps(identity))
    addresses = {item.get("href") for item in Page(write_report(directory)).attributes("a")}
    assert addresses == {"./", "images/", *([url] if is_linked else [])}


def test_only_the_scripts_of_the_page_may_run(directory: Path) -> None:
    page = Page(write_report(directory))
    (policy,) = (item["content"] for item in page.attributes("meta") if "http-equiv" in item)
    assert policy is not None
    scripts = re.findall(r"<script>(.*?)</script>", page.source, re.DOTALL)
    found = [f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts]
    assert policy == f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {' '.join(found)}"
    assert len(found) == 2


def test_a_chart_has_the_values_that_were_logged(directory: Path) -> None:
    data = re.findall(
        r'<script type="application/json" id="charts">(.*?)</script>', write_report(directory).read_text()
    )
    curves = {f"{chart['title']}/{curve['name']}": curve for chart in json.loads(data[0]) for curve in chart["curves"]}
    assert curves["Train/loss"]["steps"][-1] == 800
    assert curves["Train/loss"]["values"][-1] == 1.25


def test_every_metric_has_its_last_value_and_its_extremes(directory: Path) -> None:
    page = Page(write_report(directory))
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</th>(.*?)</tr>", page.source)
    cells = {name: re.findall(r"<td[^>]*>(.*?)</td>", row) for name, row in rows}
    assert cells["Train/loss"] == ["1.25", "800", "1.25", "800", "10", "100"]
    assert cells["Train/penalty"] == ["114.29", "800", "14.286", "100", "114.29", "800"]
    assert cells["ELBO/Validation"] == ["-11.251", "800", "-90.005", "100", "-11.251", "800"]
    assert cells["Test/once"] == ["0.98765", "800"] * 3


def test_the_first_and_the_latest_image_are_embedded(directory: Path) -> None:
    page = Page(write_report(directory))
    shown = [image["src"] for image in page.attributes("img")]
    paths = sorted((directory / "images").glob("Images_Samples-*.png"))
    contents = ["data:image/png;base64," + b64encode(path.read_bytes()).decode() for path in paths]
    assert len(paths) == 8
    samples = [source for source in shown if source in contents]
    assert samples == sorted(samples, key=contents.index)
    assert samples[0] == contents[0]
    assert samples[-1] == contents[-1]
    assert 2 < len(samples) <= 6
    (plot,) = (directory / "images").glob("Latents-*.png")
    assert "data:image/png;base64," + b64encode(plot.read_bytes()).decode() in shown
    assert [text for text in page.texts if text == "latest"] == ["latest"]  # a single image needs no such label


def test_a_small_image_is_enlarged_by_a_whole_number(directory: Path) -> None:
    images = [image for image in Page(write_report(directory)).attributes("img") if image["class"] == "enlarged"]
    assert images
    assert all(int(image["width"] or 0) % 8 == 0 and int(image["width"] or 0) > 100 for image in images)
    assert all(image["width"] == image["height"] for image in images)


def test_the_header_describes_the_run(directory: Path) -> None:
    description = json.loads((directory / "run.json").read_text())
    page = Page(write_report(directory))
    for fact in ("MNIST / VAE", "17", "gpu_box", "train +experiment=X params.beta=0.25", "0.25", "[64, 32]", "200"):
        assert fact in page.texts, fact
    assert description["versions"]["torch"] in page.texts
    assert (directory / "config.yaml").read_text() in page.texts
    if description["git"] is not None:
        assert description["git"]["commit"][:10] in page.text


def test_an_interpolation_is_shown_unresolved(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/not/for/others")
    page = Page(write_report(directory))
    assert "${oc.env:HOME}" in page.texts
    assert "/not/for/others" not in page.text


def test_texts_tables_and_histograms_are_shown(directory: Path) -> None:
    page = Page(write_report(directory))
    assert "two\nlines" in page.texts
    assert {"true", "predicted", "zero", "one", "0.25"} <= set(page.texts)
    assert [rect["class"] for rect in page.attributes("rect")] == ["bar"] * 64
    assert "50 values" in page.texts


def test_a_long_run_has_a_small_page(tmp_path: Path) -> None:
    noise = random.Random(0)
    lines = (
        json.dumps({"trainer/global_step": step, "time": step / 10, "Train/loss": noise.gauss(0, 1), "lr": 0.1})
        for step in range(30_000)
    )
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert write_report(tmp_path).stat().st_size < 200_000  # 53 KB are the chart library
    Page(tmp_path / "report.html")


def test_the_template_engine_is_imported_only_to_write_a_page() -> None:
    program = "import sys, frame_train.report; print('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"


def test_the_page_has_no_control_characters(tmp_path: Path) -> None:
    write_config(tmp_path, "run")
    hostile = "\x1b]0;title\x07\r\x9b31m"
    logger = FileLogger(tmp_path)
    logger.log(f"Text/{hostile}", LogEntry(TEXT_ENTRY, f"first {hostile}\n\tsecond"), 0)
    (tmp_path / "run.json").write_text(json.dumps({"command": hostile, "device": hostile}))
    source = Page(write_report(tmp_path)).source
    assert "second" in source
    assert {character for character in source if unicodedata.category(character) == "Cc"} <= {"\n", "\t"}


def test_names_and_values_are_escaped(tmp_path: Path) -> None:
    write_config(tmp_path, HOSTILE)
    logger = FileLogger(tmp_path)
    for step in range(2):
        logger.log(HOSTILE, LogEntry(SCALARS_ENTRY, {HOSTILE: step, "other": step}), step, {HOSTILE: 3})
        logger.log(HOSTILE + "i", LogEntry(IMAGE_ENTRY, torch.zeros(1, 2, 2)), step)
        logger.log(HOSTILE + "h", LogEntry(HISTOGRAM_ENTRY, torch.zeros(3)), step)
        logger.log(HOSTILE + "t", LogEntry(TABLE_ENTRY, {HOSTILE: [HOSTILE]}), step)
        logger.log(HOSTILE + "x", LogEntry(TEXT_ENTRY, HOSTILE), step)
    description = json.loads((tmp_path / "run.json").read_text())
    for key in ("command", "seed", "device", "python", "platform", "versions", "git", "uv_lock_sha256"):
        description[key] = {"versions": {HOSTILE: HOSTILE}, "git": {"commit": HOSTILE}}.get(key, HOSTILE)
    (tmp_path / "run.json").write_text(json.dumps(description))
    page = Page(write_report(tmp_path))
    assert [item.get("type") for item in page.attributes("script")] == ["application/json", None, None]
    assert page.source.count("</style>") == 1
    assert page.texts.count("latest") == len(page.attributes("b"))  # only the tags <b> of the page
    assert page.texts.count(HOSTILE) >= 8


def test_an_unpaired_surrogate_does_not_break_the_page(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(
        '{"trainer/global_step": 1, "\\ud800": 1.5, "i": "images/\\ud800\\u0000.png"}'
    )
    page = Page(write_report(tmp_path))
    assert "1.5" in page.texts
    assert "The picture is missing." in page.texts


def test_an_empty_directory_has_a_page(tmp_path: Path) -> None:
    assert tmp_path.name in Page(write_report(tmp_path)).texts


@pytest.mark.parametrize("name", ["config.yaml", "overrides.yaml", "run.json", "metrics.jsonl", "images"])
def test_missing_files_are_left_out(name: str, directory: Path) -> None:
    path = directory / name
    if path.is_dir():
        for picture in path.iterdir():
            picture.unlink()
    else:
        path.unlink()
        path.mkdir()  # a folder cannot be read as a file either
    page = Page(write_report(directory))
    assert ("114.29" in page.texts) == (name != "metrics.jsonl")
    assert bool(page.attributes("img")) == (name != "images")
    assert "train +experiment=X params.beta=0.25" in page.texts


@pytest.mark.parametrize("name", ["config.yaml", "overrides.yaml", "run.json", "metrics.jsonl"])
def test_a_file_that_is_cut_off_anywhere_does_not_break_the_page(name: str, directory: Path) -> None:
    content = (directory / name).read_bytes()[:3000]
    for end in range(0, len(content), max(1, len(content) // 15)):
        (directory / name).write_bytes(content[:end])
        Page(write_report(directory))


def test_a_truncated_line_is_reported_and_the_others_are_shown(directory: Path) -> None:
    with (directory / "metrics.jsonl").open("a") as file:
        file.write('{"trainer/global_step": 900, "Train/lo')
    page = Page(write_report(directory))
    assert "1 line of metrics.jsonl could not be read: it was cut off, or is being written." in page.texts
    assert "114.29" in page.texts


@pytest.mark.parametrize(
    "line", ["null", "3", "[]", "{}", '"x"', "[" * 100_000, "\x00", "NaN", '{"a": ' + "9" * 5000 + "}"]
)
def test_lines_that_are_not_entries_do_not_break_the_page(line: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(f'{line}\n{{"trainer/global_step": 2, "loss": 4.25}}\n')
    assert "4.25" in Page(write_report(tmp_path)).texts


@pytest.mark.parametrize(
    "value",
    [
        None, True, [], {}, [1, [2]], {"a": 1}, {"a": [1], "b": []}, {"a": []}, "NaN", "-Infinity", 10**400, -(10**400),
        "x" * 50_000, {"edges": [0, 1], "counts": [10**300], "non_finite": 0},
        {"edges": [], "counts": [], "non_finite": 0}, {"edges": [0, "NaN"], "counts": [1], "non_finite": 0},
        {"edges": [2, 1], "counts": [-1], "non_finite": 0}, {"edges": 3, "counts": [1], "non_finite": "x"},
        "images/none.png", "images/../run.json", "0001-01-01", "9999-12-31T23:59:59",
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_no_value_breaks_the_page(value: object, tmp_path: Path) -> None:
    line = {"trainer/global_step": value, "time": value, "counters/iteration": value, "a": value, "b": 4.25}
    (tmp_path / "metrics.jsonl").write_text(2 * (json.dumps(line) + "\n"))
    (tmp_path / "run.json").write_text(
        json.dumps({"started": value, "git": value, "versions": value, "command": value})
    )
    assert "4.25" in Page(write_report(tmp_path)).texts


def test_only_images_of_the_run_are_shown(tmp_path: Path) -> None:
    (tmp_path / "outside.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(16))
    run = tmp_path / "run"
    (run / "images").mkdir(parents=True)
    (run / "images" / "text.png").write_text("no picture")
    lines = [{"trainer/global_step": 1, "a": path} for path in ("images/../../outside.png", "images/text.png")]
    (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    page = Page(write_report(run))
    assert page.attributes("img") == []
    assert "The picture is missing." in page.texts


def test_the_previous_page_stays_intact_if_the_new_one_cannot_be_written(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_report(directory)
    content = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        write_report(directory)
    assert path.read_bytes() == content


def test_evaluations_after_the_run_are_shown_at_their_step_and_do_not_lengthen_it(tmp_path: Path) -> None:
    lines = [
        {"trainer/global_step": 10, "time": 110.0, "counters/iteration": 10, "ELBO": -3.0, "Note": "early"},
        {
            "trainer/global_step": 20,
            "time": 120.0,
            "counters/iteration": 20,
            "seconds": 3.0,
            "ELBO": -1.0,
            "Note": "late",
        },
        {"trainer/global_step": 10, "time": 9e9, "counters/iteration": 10, "ELBO": -2.0, "Note": "early again"},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    times = {"started": "1970-01-01T00:01:40+00:00", "ended": "1970-01-01T00:02:01+00:00"}
    (tmp_path / "run.json").write_text(json.dumps(times))
    record = read_record(tmp_path)
    assert record.metrics == {"ELBO": [Point(10, -3.0), Point(10, -2.0), Point(20, -1.0)]}
    assert (record.last_step, record.counters) == (20, {"iteration": 20})
    assert (record.others["Note"].value, record.others["Note"].n_values) == ("late", 3)
    assert "21 s" in Page(write_report(tmp_path)).text
