"""The page ``report.html``: the contents of a run directory as one self-contained HTML file."""

import contextlib
import json
import math
import shlex
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from frame_loggers.wandb_run import read_wandb_run
from frame_train.report.charts import make_chart
from frame_train.report.drawing import draw_histogram
from frame_train.report.rendering import write_page
from frame_train.report.scale import format_duration, format_number
from frame_train.report.series import group
from frame_train.runs.record import Picture, Point, Record, parse_time, read_record

_N_PICTURES = 4
_MAX_ROWS = 100
_MAX_CHARACTERS = 20_000
_PNG = b"\x89PNG\r\n\x1a\n"


def write_report(directory: Path) -> Path:
    """Write ``report.html`` from the contents of a run directory, and return its path.

    The page loads no other file. It omits whatever is missing or unreadable, so a crashed run has a page too. It
    replaces an older page atomically.

    Args:
        directory: The directory of a run, complete or not.

    Raises:
        OSError: The page can't be written.
    """
    record = read_record(directory)
    path = directory / "report.html"
    write_page(
        path,
        "page.html.j2",
        [make_chart(title, curves) for title, curves in group(record.metrics)],
        title=_name_run(record),
        facts={name: value for name, value in _list_facts(record).items() if value},
        links=_list_links(record.directory),
        command=_get_command(record),
        parameters={name: _format_value(value) for name, value in _mapping(record.config.get("params")).items()},
        metrics={name: _summarize(points) for name, points in sorted(record.metrics.items())},
        n_unreadable=record.n_unreadable,
        images={name: [load_image(picture) for picture in _pick(series)] for name, series in record.pictures.items()},
        others=record.others,
        max_rows=_MAX_ROWS,
        config=record.config_text,
        environment=dict(_list_environment(record.description)),
        draw_histogram=draw_histogram,
        list_rows=_list_rows,
        format_cell=_format_cell,
        format_number=format_number,
        thousands="{:,}".format,
    )
    return path


# The head


def _name_run(record: Record) -> str:
    run = _mapping(record.config.get("run"))
    names = [str(run[key]) for key in ("project", "name") if key in run]
    return " / ".join(names) or record.directory.resolve().name


def _list_facts(record: Record) -> dict[str, str]:
    run = record.description
    started = parse_time(run.get("started"))
    counters = {
        name.replace("_", " ").capitalize() + "s": f"{count:,}"
        for name, count in record.counters.items()
        if count != record.last_step
    }
    return {
        "Started": started.strftime("%Y-%m-%d %H:%M:%S %Z") if started else "",
        "Duration": _measure_duration(record, started),
        "Global step": f"{record.last_step:,}" if record.last_time is not None else "",
        **counters,
        "Seed": str(run.get("seed", record.config.get("seed", ""))),
        "Device": str(run.get("device", "")),
        "Commit": _name_commit(_mapping(run.get("git")), length=10),
    }


def _list_links(directory: Path) -> dict[str, str]:
    """List the folders and the web address that the page links to, with the text of each link."""
    folders = {"./": "run directory", "checkpoints/": "checkpoints", "images/": "images"}
    links = {folder: text for folder, text in folders.items() if (directory / folder).is_dir()}
    with contextlib.suppress(ValueError):  # its identity on W&B can't be read
        run = read_wandb_run(directory)
        if run is not None and run.url is not None:
            links[run.url] = "Weights & Biases"
    return links


def _measure_duration(record: Record, started: datetime | None) -> str:
    """Return the duration of a run. Without a start or an end in ``run.json``, use the first or the last entry."""
    ended = parse_time(record.description.get("ended"))
    first = started.timestamp() if started else record.first_time
    last = ended.timestamp() if ended else record.last_time
    if first is None or last is None:
        return ""
    seconds = last - first
    return format_duration(seconds) if 0 <= seconds < math.inf else ""


def _name_commit(git: Mapping[str, Any], length: int | None = None) -> str:
    changed = " + uncommitted changes" if git.get("dirty") else ""
    return f"{str(git['commit'])[:length]}{changed}" if git.get("commit") else ""


def _get_command(record: Record) -> str:
    command = record.description.get("command")
    if isinstance(command, list):
        return shlex.join(map(str, command))
    return shlex.join(["train", *record.overrides]) if record.overrides else ""


def _format_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


# Numbers


def _summarize(points: Sequence[Point]) -> tuple[Point | None, ...]:
    """Return the last point, and the lowest and highest point with a finite value."""
    finite = [point for point in points if math.isfinite(point.value)]
    lowest = min(finite, key=lambda point: point.value, default=None)
    highest = max(finite, key=lambda point: point.value, default=None)
    return points[-1], lowest, highest


# Pictures


@dataclass(frozen=True)
class Image:
    """An image of the page. Its source is empty if the file is missing or not a PNG file."""

    step: int
    source: str
    width: int
    height: int
    is_enlarged: bool
    is_wide: bool


def _pick(pictures: Sequence[Picture]) -> list[Picture]:
    """Return the first picture, the last one, and some evenly spread ones between them."""
    if len(pictures) <= _N_PICTURES:
        return list(pictures)
    return [pictures[round(index * (len(pictures) - 1) / (_N_PICTURES - 1))] for index in range(_N_PICTURES)]


def load_image(picture: Picture) -> Image:
    """Load a picture for a page."""
    png = _read_png(picture.path)
    width, height = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
    is_wide = width >= 2.5 * height
    if not width or not height:
        return Image(picture.step, "", 0, 0, is_enlarged=False, is_wide=is_wide)
    shown_width = _choose_width(width, height, 620 if is_wide else 250)
    return Image(
        picture.step,
        source="data:image/png;base64," + b64encode(png).decode(),
        width=shown_width,
        height=round(height * shown_width / width),
        is_enlarged=shown_width > width,
        is_wide=is_wide,
    )


def _choose_width(width: int, height: int, target: int) -> int:
    """Return the width of a picture: a multiple of that of a small one, so that its pixels are equally large."""
    return min(width * max(1, min(target // width, target // height)), max(target, 520))


def _read_png(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except (OSError, ValueError):  # the path is invalid
        return b""
    return content if content.startswith(_PNG) else b""


# Tables and texts


def _list_rows(columns: Mapping[str, Sequence[Any]]) -> list[tuple[Any, ...]]:
    return list(islice(zip_longest(*columns.values()), _MAX_ROWS))


def _format_cell(value: Any) -> str:
    text = "" if value is None else format_number(value) if isinstance(value, float) else str(value)
    rest = len(text) - _MAX_CHARACTERS
    return text if rest <= 0 else f"{text[:_MAX_CHARACTERS]}\n… and {rest:,} characters more"


# Config and environment


def _list_environment(description: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    names = {"python": "Python", "platform": "Platform"}
    yield from ((title, str(description[name])) for name, title in names.items() if name in description)
    yield from ((name, str(version)) for name, version in _mapping(description.get("versions")).items())
    commit = _name_commit(_mapping(description.get("git")))
    if commit:
        yield "git commit", commit
    if description.get("uv_lock_sha256"):
        yield "uv.lock, SHA-256", str(description["uv_lock_sha256"])


# Common parts


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
