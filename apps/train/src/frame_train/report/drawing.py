"""Curves and histograms as inline SVG in the colors of ``report.css``."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from frame_loggers.metrics_file import Histogram
from frame_train.report.scale import Scale, format_number, quantiles
from frame_train.report.series import N_DRAWN, Curves, average, split_at_gaps, thin
from frame_train.runs.record import Point

_WIDTH, _HEIGHT = 560, 300
_TOP, _BOTTOM = 10, 34
_CHARACTER = 7.2  # width of a bold digit, in the units of the SVG
_LABEL_HEIGHT = 13.0
_TAIL = 0.02
_FENCE = 2.0
_N_DOTS = 40


def draw_curves(title: str, curves: Curves, steps: tuple[int, int]) -> Markup:
    """Draw curves over the global step, each with its last value beside it.

    Args:
        title: Text for screen readers.
        curves: The curves, with at least one finite value: at most one curve per color.
        steps: The first and the last step of the axis.
    """
    values = _cover(curves)
    y = Scale.covering(*values).drawn(_HEIGHT - _BOTTOM, _TOP)
    left = 14 + _CHARACTER * max(len(label) for _, label in y.ticks())
    right = 14 + _CHARACTER * max(len(_label_last(points)) for points in curves.values())
    x = Scale.covering(*steps, margin=0).drawn(left, _WIDTH - right)
    lines = [_draw_curve(points, index, x, y) for index, points in enumerate(curves.values())]
    # An inner image clips whatever is outside of it. Dots on its edge remain complete.
    area = Markup(
        '<svg viewBox="{x:.1f} {y:.1f} {width:.1f} {height:.1f}" x="{x}" y="{y}" width="{width}" height="{height}">'
        "{lines}</svg>"
    ).format(x=left - 3, y=_TOP, width=_WIDTH - left - right + 6, height=_HEIGHT - _BOTTOM - _TOP, lines=_join(*lines))
    return _draw(title, _HEIGHT, _draw_axes(x, y), area, *_draw_last_values(curves, x, y))


def count_outside(curves: Curves) -> int:
    """Count the values above and below the chart."""
    scale = Scale.covering(*_cover(curves))
    values = (value for points in curves.values() for _, value in points if math.isfinite(value))
    return sum(not scale.low <= value <= scale.high for value in values)


def draw_histogram(title: str, histogram: Histogram) -> Markup:
    """Draw a bar for each bin."""
    height = 180
    y = Scale.covering(0, max(*histogram.counts, 1), margin=0).drawn(height - 24, 8)
    x = Scale.covering(histogram.edges[0], histogram.edges[-1], margin=0).drawn(10, _WIDTH - 10)
    bars = [
        _draw_bar(x.place(low), x.place(high), y.place(0), y.place(count))
        for low, high, count in zip(histogram.edges, histogram.edges[1:], histogram.counts, strict=False)
    ]
    labels = [_text(label, x.place(value), height - 6, "tick", "middle") for value, label in x.ticks(8)]
    base = _draw_segment("axis", 10, _WIDTH - 10, y.start)
    return _draw(title, height, *bars, base, *labels)


def _draw(title: str, height: int, *parts: Markup) -> Markup:
    svg = Markup('<svg role="img" aria-label="{}" viewBox="0 0 {} {}">{}</svg>')
    return svg.format(title, _WIDTH, height, _join(*parts))


def _cover(curves: Curves) -> tuple[float, float]:
    """Return the range of the chart, without a few values far from the rest, but with the last values."""
    values = [value for points in curves.values() for _, value in points if math.isfinite(value)]
    if not values:
        return 0.0, 0.0
    low, high = quantiles(values, _TAIL)
    if low == high:
        return min(values), max(values)
    fence = Scale.covering(low, high, margin=_FENCE)
    last = [points[-1].value for points in curves.values() if math.isfinite(points[-1].value)]
    near = [low, high, *last, *(value for value in values if fence.low <= value <= fence.high)]
    return min(near), max(near)


def _draw_axes(x: Scale, y: Scale) -> Markup:
    lines = [_draw_segment("grid", x.start, x.end, y.place(value)) for value, _ in y.ticks()]
    values = [_text(label, x.start - 6, y.place(value) + 4, "tick", "end") for value, label in y.ticks()]
    base = _draw_segment("axis", x.start, x.end, y.start)
    steps = [_text(label, x.place(step), y.start + 16, "tick", "middle") for step, label in x.ticks() if step % 1 == 0]
    name = _text("global step", (x.start + x.end) / 2, y.start + 31, "tick", "middle")
    return _join(*lines, *values, base, *steps, name)


def _draw_curve(points: Sequence[Point], index: int, x: Scale, y: Scale) -> Markup:
    """Draw all points. If there are many, draw the extremes faintly and the means strongly."""
    few = len(points) <= _N_DOTS
    parts = [_draw_line(thin(points), x, y, dots=few)]
    if len(points) > N_DRAWN:
        parts = [Markup('<g class="faint">{}</g>').format(*parts), _draw_line(average(points), x, y, dots=False)]
    return Markup('<g class="curve c{}">{}</g>').format(index, _join(*parts))


def _draw_line(points: Sequence[Point], x: Scale, y: Scale, dots: bool) -> Markup:
    """Draw lines between neighbors, and dots for isolated points or, on request, for all points."""
    stretches = list(split_at_gaps(points))
    lines = [
        Markup('<polyline points="{}"></polyline>').format(
            " ".join(f"{x.place(step)},{y.place(value)}" for step, value in stretch)
        )
        for stretch in stretches
        if len(stretch) > 1
    ]
    lone = [_draw_dot(point, x, y) for stretch in stretches if dots or len(stretch) == 1 for point in stretch]
    return _join(*lines, *lone)


def _draw_dot(point: Point, x: Scale, y: Scale) -> Markup:
    circle = Markup('<circle cx="{}" cy="{}" r="2.5"><title>step {:,}: {}</title></circle>')
    return circle.format(x.place(point.step), y.place(point.value), point.step, format_number(point.value))


def _draw_last_values(curves: Curves, x: Scale, y: Scale) -> list[Markup]:
    """Write the last value of each curve, as close to the end of the curve as the other labels allow."""
    heights = [_height(points, y) for points in curves.values()]
    return [
        _text(_label_last(points), x.end + 8, height + 4, f"last c{index}", "start")
        for index, (points, height) in enumerate(zip(curves.values(), _spread(heights, y.end, y.start), strict=True))
    ]


def _height(points: Sequence[Point], y: Scale) -> float:
    finite = [value for _, value in points if math.isfinite(value)]
    return y.place(finite[-1]) if finite else y.start


def _spread(heights: Sequence[float], top: float, bottom: float) -> list[float]:
    """Move labels apart, within bounds, until none covers another; return their heights."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    moved = list(heights)
    least = top
    for index in order:
        moved[index] = least = max(moved[index], least)
        least += _LABEL_HEIGHT
    greatest = bottom
    for index in reversed(order):
        moved[index] = greatest = min(moved[index], greatest)
        greatest -= _LABEL_HEIGHT
    return moved


def _label_last(points: Sequence[Point]) -> str:
    return format_number(points[-1].value)


def _draw_bar(left: float, right: float, base: float, top: float) -> Markup:
    width = max(0.5, right - left - 1)
    bar = Markup('<rect class="bar" x="{}" y="{}" width="{}" height="{}"></rect>')
    return bar.format(left, top, round(width, 1), round(base - top, 1))


def _draw_segment(class_: str, left: float, right: float, y: float) -> Markup:
    return Markup('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"></line>').format(class_, left, right, y, y)


def _text(text: str, x: float, y: float, class_: str, anchor: str) -> Markup:
    element = Markup('<text x="{}" y="{}" class="{}" text-anchor="{}">{}</text>')
    return element.format(round(x, 1), round(y, 1), class_, anchor, text)


def _join(*parts: Markup) -> Markup:
    return Markup("").join(parts)
