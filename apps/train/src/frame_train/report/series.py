"""Grouping of metrics into charts, and selection of the points to draw."""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from frame_train.runs.record import Point

Curves = Mapping[str, Sequence[Point]]

N_COLORS = 6
"""Maximum number of curves in a chart: the number of colors in ``report.css``."""

N_DRAWN = 2000
"""Maximum number of points of a curve that is drawn completely."""

_MAX_RATIO = 30.0


def group(metrics: Curves) -> Iterator[tuple[str, Curves]]:
    """Yield the title and the curves of each chart: metrics with a common prefix and order of magnitude.

    A chart needs at least one metric with two finite values.
    """
    families: dict[str, dict[str, Sequence[Point]]] = {}
    for name, points in metrics.items():
        families.setdefault(name.rpartition("/")[0] or name, {})[name] = points
    for title, family in families.items():
        for names in _split(family):
            curves = {name: family[name] for name in names}
            if any(len(_finite(points)) > 1 for points in curves.values()):
                yield (title if len(curves) > 1 else names[0]), curves


def thin(points: Sequence[Point]) -> list[Point]:
    """Reduce many points to about two thousand: both ends, each section's extremes and its first non-finite value.

    >>> thin([Point(0, 1.0), Point(1, 2.0)])
    [Point(step=0, value=1.0), Point(step=1, value=2.0)]
    """
    if len(points) <= N_DRAWN:
        return list(points)
    kept = {0, len(points) - 1}
    for stretch in _cut(len(points), N_DRAWN // 2):
        kept |= _mark(points, stretch)
    return [points[index] for index in sorted(kept)]


def _split(family: Curves) -> Iterator[list[str]]:
    """Split the names by the magnitude of their values, so that no curve flattens another."""
    sizes = {name: median(abs(value) for value in _finite(points) or [0.0]) for name, points in family.items()}
    part: list[str] = []
    for name in sorted(family, key=lambda name: -sizes[name]):
        if part and (len(part) == N_COLORS or sizes[name] * _MAX_RATIO < sizes[part[0]]):
            yield [name for name in family if name in part]
            part = []
        part.append(name)
    if part:
        yield [name for name in family if name in part]


def _cut(length: int, n_stretches: int) -> list[range]:
    """Return the indices of a sequence in sections of equal length. The last one may be shorter."""
    size = math.ceil(length / n_stretches)
    return [range(start, min(start + size, length)) for start in range(0, length, size)]


def _finite(points: Sequence[Point]) -> list[float]:
    return [point.value for point in points if math.isfinite(point.value)]


def _mark(points: Sequence[Point], stretch: Sequence[int]) -> set[int]:
    """Return the indices of the extremes of a section, and of its first non-finite value."""
    finite = [index for index in stretch if math.isfinite(points[index].value)]
    gap = next((index for index in stretch if not math.isfinite(points[index].value)), None)
    marked = {pick(finite, key=lambda index: points[index].value) for pick in (min, max) if finite}
    return marked | ({gap} if gap is not None else set())
