"""Histograms as inline SVG in the colors of ``report.css``."""

from markupsafe import Markup

from frame_loggers.metrics_file import Histogram
from frame_train.report.scale import Scale

_WIDTH, _HEIGHT = 560, 180


def draw_histogram(title: str, histogram: Histogram) -> Markup:
    """Draw a bar for each bin."""
    y = Scale.covering(0, max(*histogram.counts, 1), margin=0).drawn(_HEIGHT - 24, 8)
    x = Scale.covering(histogram.edges[0], histogram.edges[-1], margin=0).drawn(10, _WIDTH - 10)
    bars = [
        _draw_bar(x.place(low), x.place(high), y.place(0), y.place(count))
        for low, high, count in zip(histogram.edges, histogram.edges[1:], histogram.counts, strict=False)
    ]
    labels = [_draw_tick(label, x.place(value)) for value, label in x.ticks(8)]
    base = Markup('<line class="axis" x1="10" x2="{}" y1="{}" y2="{}"></line>').format(_WIDTH - 10, y.start, y.start)
    svg = Markup('<svg role="img" aria-label="{}" viewBox="0 0 {} {}">{}</svg>')
    return svg.format(title, _WIDTH, _HEIGHT, Markup("").join([*bars, base, *labels]))


def _draw_bar(left: float, right: float, base: float, top: float) -> Markup:
    width = max(0.5, right - left - 1)
    bar = Markup('<rect class="bar" x="{}" y="{}" width="{}" height="{}"></rect>')
    return bar.format(left, top, round(width, 1), round(base - top, 1))


def _draw_tick(text: str, x: float) -> Markup:
    return Markup('<text x="{}" y="{}" class="tick" text-anchor="middle">{}</text>').format(x, _HEIGHT - 6, text)
