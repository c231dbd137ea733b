"""Choice of the metrics that stand for a run: the last ones, and those at its best step."""

from collections.abc import Mapping
from math import isfinite

from frame_train.runs.record import Point


def read_last(metrics: Mapping[str, list[Point]]) -> dict[str, float]:
    """Return the last value of every metric."""
    return {name: points[-1].value for name, points in metrics.items()}


def read_best(metrics: Mapping[str, list[Point]], monitor: str, mode: str) -> dict[str, float]:
    """Return the latest value of every metric at the step with the best finite value of one of them.

    Args:
        metrics: Every value of each metric, in the order of their steps.
        monitor: The name of the metric that selects the step. Without a finite value of it, the result is empty.
        mode: ``min`` or ``max``.
    """
    watched = [point for point in metrics.get(monitor, []) if isfinite(point.value)]
    if not watched:
        return {}
    best_step = (min if mode == "min" else max)(watched, key=lambda point: point.value).step
    until = {name: [point.value for point in points if point.step <= best_step] for name, points in metrics.items()}
    return {name: values[-1] for name, values in until.items() if values}
