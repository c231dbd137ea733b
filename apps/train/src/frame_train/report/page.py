"""The page itself: what a run directory holds, as one HTML file that needs nothing else."""

import json
import math
import shlex
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from frame_loggers.metrics_file import Histogram
from frame_train.files import replacing
from frame_train.report.drawing import count_outside, draw_curves, draw_histogram
from frame_train.report.markup import Markup, element, join
from frame_train.report.scale import format_duration, format_number
from frame_train.report.series import N_DRAWN, Curves, group
from frame_train.runs.record import Latest, Picture, Point, Record, read_record

_N_PICTURES = 4
_MAX_ROWS = 100
_MAX_CHARACTERS = 20_000
_PNG = b"\x89PNG\r\n\x1a\n"


def write_report(directory: Path) -> Path:
    """Write ``report.html`` into a run directory, from nothing but what is in it, and give its path.

    The page is one file that loads nothing. A part that is missing, cut off or unreadable is left out, so
    a run that crashed has a page too. An older page is replaced at once, whole.

    Args:
        directory: The directory of a run, finished or not.

    Raises:
        OSError: The page can't be written there.
    """
    page = f"<!DOCTYPE html>\n{_make_page(read_record(directory))}\n"
    path = directory / "report.html"
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")  # JSON can hold half a character
    return path


def _make_page(record: Record) -> Markup:
    title = _name_run(record)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element(
            "meta",
            http_equiv="Content-Security-Policy",
            content="default-src 'none'; img-src data:; style-src 'unsafe-inline'",
        ),
        element("title", title),
        element("style", Markup(files("frame_train.report").joinpath("report.css").read_text(encoding="utf-8"))),
    )
    sections = [
        _show_head(title, record),
        _section("Parameters", _show_parameters(record.config.get("params"))),
        _section("Metrics", _show_metrics(record)),
        _section("Curves", _show_curves(record)),
        _section("Pictures", _show_all_pictures(record)),
        _section("Tables, distributions and texts", _show_others(record)),
        _section("Config and environment", _show_details(record)),
    ]
    return element("html", head, element("body", element("main", *sections)), lang="en")


def _section(title: str, content: Markup) -> Markup:
    return element("section", element("h2", title), content) if content else Markup()


# The head


def _name_run(record: Record) -> str:
    run = _mapping(record.config.get("run"))
    names = [str(run[key]) for key in ("project", "name") if key in run]
    return " / ".join(names) or record.directory.resolve().name


def _show_head(title: str, record: Record) -> Markup:
    facts = {name: value for name, value in _tell_facts(record).items() if value}
    shown = [element("div", element("dt", name), element("dd", value)) for name, value in facts.items()]
    command = _tell_command(record)
    return element(
        "header",
        element("h1", title),
        element("dl", *shown, class_="facts"),
        element("pre", command, class_="command") if command else Markup(),
    )


def _tell_facts(record: Record) -> dict[str, str]:
    run = record.description
    started = _parse_time(run.get("started"))
    counters = {
        name.replace("_", " ").capitalize() + "s": f"{count:,}"
        for name, count in record.counters.items()
        if count != record.last_step
    }
    return {
        "Started": started.strftime("%Y-%m-%d %H:%M:%S %Z") if started else "",
        "Duration": _tell_duration(record, started),
        "Global step": f"{record.last_step:,}" if record.last_time is not None else "",
        **counters,
        "Seed": str(run.get("seed", record.config.get("seed", ""))),
        "Device": str(run.get("device", "")),
        "Commit": _tell_commit(_mapping(run.get("git"))),
    }


def _parse_time(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def _tell_duration(record: Record, started: datetime | None) -> str:
    """Tell the time from the start, or else the first entry, to the end, or else the last entry."""
    ended = _parse_time(record.description.get("ended"))
    first = started.timestamp() if started else record.first_time
    last = ended.timestamp() if ended else record.last_time
    if first is None or last is None:
        return ""
    seconds = last - first
    return format_duration(seconds) if 0 <= seconds < math.inf else ""


def _tell_commit(git: Mapping[str, Any]) -> str:
    changed = " + uncommitted changes" if git.get("dirty") else ""
    return f"{str(git['commit'])[:10]}{changed}" if git.get("commit") else ""


def _tell_command(record: Record) -> str:
    command = record.description.get("command")
    if isinstance(command, list):
        return shlex.join(map(str, command))
    return shlex.join(["train", *record.overrides]) if record.overrides else ""


def _show_parameters(parameters: Any) -> Markup:
    shown = [
        element("div", element("dt", str(name)), element("dd", _tell_value(value)))
        for name, value in _mapping(parameters).items()
    ]
    return element("dl", *shown, class_="parameters") if shown else Markup()


def _tell_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


# Numbers


def _show_metrics(record: Record) -> Markup:
    rows = [_show_metric(name, points) for name, points in sorted(record.metrics.items())]
    lost = record.n_unreadable
    note = f"{_count(lost, 'line')} of metrics.jsonl could not be read: it was cut off, or is being written."
    table = _table(["Metric", "Last", "at step", "Lowest", "at step", "Highest", "at step"], rows) if rows else Markup()
    return join(table, element("p", note, class_="note") if lost else Markup())


def _show_metric(name: str, points: Sequence[Point]) -> Markup:
    finite = [point for point in points if math.isfinite(point.value)]
    lowest = min(finite, key=lambda point: point.value, default=None)
    highest = max(finite, key=lambda point: point.value, default=None)
    cells = [cell for point in (points[-1], lowest, highest) for cell in _show_point(point)]
    return element("tr", element("th", name, scope="row"), *cells)


def _show_point(point: Point | None) -> tuple[Markup, Markup]:
    value, step = ("", "") if point is None else (format_number(point.value), f"{point.step:,}")
    return element("td", value, class_="number"), element("td", step, class_="number step")


def _show_curves(record: Record) -> Markup:
    steps = [point.step for points in record.metrics.values() for point in points]
    charts = [_show_chart(title, curves, _span(steps)) for title, curves in group(record.metrics)]
    note = f"Of more than {N_DRAWN} values, a faint line shows the extremes and a strong one the means of each 1 %."
    long = any(len(points) > N_DRAWN for points in record.metrics.values())
    return join(
        element("div", *charts, class_="charts") if charts else Markup(),
        element("p", note, class_="note") if charts and long else Markup(),
    )


def _span(steps: Sequence[int]) -> tuple[int, int]:
    """Give the ends of the axis that all charts share: from 0, unless the run went on from far beyond it."""
    first, last = min(steps), max(steps)
    return (0 if 0 <= first <= last / 2 else first), last


def _show_chart(title: str, curves: Curves, steps: tuple[int, int]) -> Markup:
    outside = count_outside(curves)
    note = f"{_count(outside, 'value')} far outside of the chart"
    return element(
        "figure",
        element("figcaption", element("strong", title), *(_show_legend(title, curves) if len(curves) > 1 else ())),
        draw_curves(title, curves, steps),
        element("p", note, class_="note") if outside else Markup(),
        class_="card",
    )


def _show_legend(title: str, curves: Curves) -> Iterator[Markup]:
    for index, name in enumerate(curves):
        swatch = element("i", class_=f"swatch c{index}")
        yield element("span", swatch, name.removeprefix(f"{title}/"), class_="key")


# Pictures


def _show_all_pictures(record: Record) -> Markup:
    return join(*(_show_pictures(name, pictures) for name, pictures in record.pictures.items()))


def _show_pictures(name: str, pictures: Sequence[Picture]) -> Markup:
    """Show the latest picture beside earlier ones: wide ones below each other, so that columns compare."""
    width, height = _measure(_read_png(pictures[-1].path))
    wide = width >= 2.5 * height
    shown = _pick(pictures)
    figures = [_show_picture(name, picture, latest=picture is shown[-1] and len(shown) > 1) for picture in shown]
    row = element("div", *figures, class_="pictures wide" if wide else "pictures")
    return element("article", element("h3", name), row, class_="card")


def _pick(pictures: Sequence[Picture]) -> list[Picture]:
    """Give the first, the last and some evenly between."""
    if len(pictures) <= _N_PICTURES:
        return list(pictures)
    return [pictures[round(index * (len(pictures) - 1) / (_N_PICTURES - 1))] for index in range(_N_PICTURES)]


def _show_picture(name: str, picture: Picture, latest: bool) -> Markup:
    caption = element("figcaption", f"step {picture.step:,}", element("b", "latest") if latest else Markup())
    png = _read_png(picture.path)
    width, height = _measure(png)
    if not width or not height:
        return element("figure", element("p", "The picture is missing.", class_="note"), caption)
    shown_width = _choose_width(width, height)
    image = element(
        "img",
        src="data:image/png;base64," + b64encode(png).decode(),
        alt=f"{name} at step {picture.step}",
        width=shown_width,
        height=round(height * shown_width / width),
        class_="enlarged" if shown_width > width else "whole",
    )
    return element("figure", image, caption)


def _choose_width(width: int, height: int) -> int:
    """Enlarge a small picture by a whole number, so that each of its pixels is as large; shrink a large one."""
    target = 620 if width >= 2.5 * height else 250
    return min(width * max(1, min(target // width, target // height)), max(target, 520))


def _read_png(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except (OSError, ValueError):  # a path that no file can have
        return b""
    return content if content.startswith(_PNG) else b""


def _measure(png: bytes) -> tuple[int, int]:
    """Give width and height as a PNG file tells them at its head, 0 where there is none."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


# Everything else that was logged


def _show_others(record: Record) -> Markup:
    return join(*(_show_other(name, latest) for name, latest in record.others.items()))


def _show_other(name: str, latest: Latest) -> Markup:
    among = f", the latest of {latest.n_values:,}" if latest.n_values > 1 else ""
    caption = element("h3", name, element("small", f"step {latest.step:,}{among}"))
    return element("article", caption, _show_value(name, latest.value), class_="card")


def _show_value(name: str, value: Any) -> Markup:
    match value:
        case Histogram():
            return _show_histogram(name, value)
        case dict():
            return _show_table(value)
        case _:
            return element("pre", _cut(str(value)))


def _show_histogram(name: str, histogram: Histogram) -> Markup:
    lost = f", {histogram.non_finite:,} not finite" if histogram.non_finite else ""
    note = f"{sum(histogram.counts):,.0f} values{lost}"
    return element("div", draw_histogram(name, histogram), element("p", note, class_="note"), class_="histogram")


def _show_table(columns: Mapping[str, Sequence[Any]]) -> Markup:
    n_rows = max(map(len, columns.values()))
    rows = [
        element("tr", *(_show_cell(column[index] if index < len(column) else None) for column in columns.values()))
        for index in range(min(n_rows, _MAX_ROWS))
    ]
    note = element("p", f"The first {_MAX_ROWS} of {n_rows:,} rows.", class_="note")
    return join(_table(list(columns), rows), note if n_rows > _MAX_ROWS else Markup())


def _show_cell(value: Any) -> Markup:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return element("td", str(value) if isinstance(value, int) else format_number(value), class_="number")
    return element("td", "" if value is None else _cut(str(value)))


def _cut(text: str) -> str:
    rest = len(text) - _MAX_CHARACTERS
    return text if rest <= 0 else f"{text[:_MAX_CHARACTERS]}\n… and {rest:,} characters more"


# What the run was made of


def _show_details(record: Record) -> Markup:
    environment = [
        element("tr", element("th", name, scope="row"), element("td", value))
        for name, value in _tell_environment(record.description)
    ]
    return join(
        _details("Config", element("pre", record.config_text)) if record.config_text else Markup(),
        _details("Environment", _table([], environment)) if environment else Markup(),
    )


def _details(title: str, content: Markup) -> Markup:
    return element("details", element("summary", title), content, class_="card")


def _tell_environment(description: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    names = {"python": "Python", "platform": "Platform"}
    yield from ((title, str(description[name])) for name, title in names.items() if name in description)
    yield from ((name, str(version)) for name, version in _mapping(description.get("versions")).items())
    git = _mapping(description.get("git"))
    if git.get("commit"):
        yield "git commit", f"{git['commit']}{' + uncommitted changes' if git.get('dirty') else ''}"
    if description.get("uv_lock_sha256"):
        yield "uv.lock, SHA-256", str(description["uv_lock_sha256"])


# Common parts


def _table(titles: Sequence[str], rows: Sequence[Markup]) -> Markup:
    head = element("thead", element("tr", *(element("th", title, scope="col") for title in titles)))
    return element("div", element("table", head if titles else Markup(), element("tbody", *rows)), class_="scroll")


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
