"""The result of a training run."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig

from frame_train.runs.metrics import read_best, read_last
from frame_train.runs.record import read_log

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
    metrics = read_log(directory).metrics
    best = read_best(metrics, str(config.monitor.metric), config.monitor.mode)
    return Result(directory, status, read_last(metrics), best, stopped_by)
