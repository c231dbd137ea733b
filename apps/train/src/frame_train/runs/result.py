"""The result of a training run."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig

from frame_train.runs.record import Point, read_record

Status = Literal["complete", "stopped", "requeued"]


@dataclass(frozen=True)
class Result:
    """Result of a training run.

    Args:
        directory: The run directory.
        status: ``complete``; ``stopped`` by a signal, so that ``resume=DIRECTORY`` continues the run; or ``requeued``,
            so that SLURM continues it.
        last: The last value of every metric.
        best: The value of every metric at the step with the best ``monitor.metric``; empty without that metric.
        stopped_by: The signal that stopped training; None if the run is complete.
    """

    directory: Path
    status: Status
    last: Mapping[str, float]
    best: Mapping[str, float]
    stopped_by: signal.Signals | None = None


def read_result(
    directory: Path,
    config: DictConfig,
    status: Status = "complete",
    stopped_by: signal.Signals | None = None,
) -> Result:
    """Read the metrics of a run, and return its result.

    Args:
        directory: The run directory.
        config: The config of the run.
        status: The status of the run.
        stopped_by: The signal that stopped training.
    """
    metrics = read_record(directory).metrics
    watched = [point for point in metrics.get(str(config.monitor.metric), []) if isfinite(point.value)]
    choose = min if config.monitor.mode == "min" else max
    best_step = choose(watched, key=lambda point: point.value).step if watched else -1
    return Result(directory, status, _read_at(None, metrics), _read_at(best_step, metrics), stopped_by)


def _read_at(step: int | None, metrics: Mapping[str, list[Point]]) -> dict[str, float]:
    """Return the latest value of every metric, up to a step if one is given."""
    points = [(name, point) for name in metrics for point in metrics[name]]
    return {name: point.value for name, point in points if step is None or point.step <= step}
