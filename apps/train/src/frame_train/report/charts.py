"""Charts of curves, which the page draws with uPlot (``charts.js``)."""

import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from frame_train.report.scale import Scale, quantiles
from frame_train.report.series import Curves, thin
from frame_train.runs.record import Point

_FOLDER = Path(__file__).parent
_TAIL = 0.02
_FENCE = 2.0


def make_chart(title: str, curves: Curves) -> dict[str, Any]:
    """Return a chart as data for ``charts.js``.

    Args:
        title: The title.
        curves: The curves, with at least one finite value.
    """
    low, high = _cover(curves)
    scale = Scale.covering(low, high)
    return {
        "title": title,
        "range": [scale.low, scale.high],
        "is_positive": all(value > 0 for value in _list_finite(curves)),
        "n_outside": sum(not scale.low <= value <= scale.high for value in _list_finite(curves)),
        "curves": [_make_curve(name.removeprefix(f"{title}/"), points) for name, points in curves.items()],
    }


def read_scripts() -> list[str]:
    """Read the scripts of the page: the library uPlot, and ours."""
    return [(_FOLDER / name).read_text(encoding="utf-8") for name in ("uPlot/uPlot.iife.min.js", "charts.js")]


def hash_script(script: str) -> str:
    """Return the hash of a script, by which the page's content security policy allows it alone."""
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"


def _make_curve(name: str, points: Sequence[Point]) -> dict[str, Any]:
    drawn = thin(points)
    values = [value if math.isfinite(value) else None for _, value in drawn]  # null leaves a gap
    return {"name": name, "steps": [step for step, _ in drawn], "values": values}


def _cover(curves: Mapping[str, Sequence[Point]]) -> tuple[float, float]:
    """Return the range of the chart, without a few values far from the rest, but with the last values."""
    values = _list_finite(curves)
    if not values:
        return 0.0, 0.0
    low, high = quantiles(values, _TAIL)
    if low == high:
        return min(values), max(values)
    fence = Scale.covering(low, high, margin=_FENCE)
    last = [points[-1].value for points in curves.values() if points and math.isfinite(points[-1].value)]
    near = [low, high, *last, *(value for value in values if fence.low <= value <= fence.high)]
    return min(near), max(near)


def _list_finite(curves: Mapping[str, Sequence[Point]]) -> list[float]:
    return [value for points in curves.values() for _, value in points if math.isfinite(value)]
