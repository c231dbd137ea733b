"""The folder of a grid: its command, the result of each job, and the results of each setting over seeds."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal, NamedTuple, cast

from frame_loggers.files import replace_text
from frame_train.errors import CompositionError
from frame_train.tables import write_csv

JobStatus = Literal["started", "complete", "refused", "failed"]

_COMMAND = "grid.json"


@dataclass
class Job:
    """One job of a grid.

    Args:
        overrides: Its overrides.
        status: ``started``, which a killed or stopped job keeps; ``complete``; ``refused`` because of a mistake in its
            config; or ``failed``.
        directory: Its run directory, once it trains.
        metric: The name of ``monitor.metric``.
        mode: ``monitor.mode``: ``max`` or ``min``.
        last: The last value of every metric of a complete job.
    """

    overrides: Sequence[str]
    status: JobStatus = "started"
    directory: str | None = None
    metric: str | None = None
    mode: str = "max"
    last: Mapping[str, float] = field(default_factory=dict[str, float])


class Mean(NamedTuple):
    """Mean of the final values of a metric over seeds.

    The standard error is the sample standard deviation divided by the square root of the number of values. It is NaN
    for a single value.
    """

    mean: float
    standard_error: float
    n_values: int

    def __str__(self) -> str:
        return f"{self.mean:.5g}" + ("" if math.isnan(self.standard_error) else f" ± {self.standard_error:.2g}")


@dataclass
class Setting:
    """The jobs of a grid that differ in nothing but the seed.

    Args:
        values: The overrides that are not the same in all jobs, without the seed.
        jobs: The jobs.
        metrics: The mean of each final metric over the complete jobs.
        is_best: Whether the mean of ``monitor.metric`` is the best of all settings.
    """

    values: Mapping[str, str]
    jobs: Sequence[Job]
    metrics: Mapping[str, Mean]
    is_best: bool = False

    @property
    def name(self) -> str:
        """The values on one line."""
        return " ".join(f"{key}={value}" for key, value in self.values.items()) or "all"

    @property
    def count(self) -> str:
        """The number of jobs, and of complete ones if some are not."""
        n_jobs, n_complete = len(self.jobs), self.n_complete
        return str(n_jobs) if n_complete == n_jobs else f"{n_complete} of {n_jobs}" if n_complete else "failed"

    @property
    def n_complete(self) -> int:
        """Number of complete jobs."""
        return sum(job.status == "complete" for job in self.jobs)


def write_command(folder: Path, arguments: Sequence[str]) -> None:
    """Write the command line of a grid into its folder."""
    replace_text(folder / _COMMAND, json.dumps({"command": list(arguments)}, indent=2) + "\n")


def read_command(folder: Path) -> list[str]:
    """Read the command line of a grid.

    Raises:
        CompositionError: The file can't be read.
    """
    path = folder / _COMMAND
    try:
        return [str(word) for word in json.loads(path.read_text(encoding="utf-8"))["command"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        message = f"`resume`: {str(path)!r} must be a JSON object with the `command` of a grid: {error!r}."
        raise CompositionError(message) from error


def is_grid(folder: Path) -> bool:
    """Return whether a folder is that of a grid."""
    return (folder / _COMMAND).is_file()


def write_job(folder: Path, number: int, job: Job) -> None:
    """Write the present result of a job."""
    replace_text(folder / f"job-{number}.json", json.dumps(asdict(job), indent=2) + "\n")


def read_job(folder: Path, number: int) -> Job | None:
    """Read the result of a job; None if it has not started.

    Raises:
        CompositionError: The file is damaged.
    """
    path = folder / f"job-{number}.json"
    try:
        return Job(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        message = f"{str(path)!r} must be the result of a job, in JSON: {error}. Remove the file to train it again."
        raise CompositionError(message) from error


def read_jobs(folder: Path) -> list[Job]:
    """Read the results of all jobs that have started, in the order of their numbers."""
    names = (re.fullmatch(r"job-(\d+)\.json", path.name) for path in folder.glob("job-*.json"))
    numbers = sorted(int(name[1]) for name in names if name)
    return [job for number in numbers if (job := read_job(folder, number))]


def group_by_setting(jobs: Sequence[Job]) -> list[Setting]:
    """Group jobs that differ in nothing but the seed, and compute the means of their final metrics."""
    common = set(jobs[0].overrides).intersection(*(job.overrides for job in jobs)) if jobs else set[str]()
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(json.dumps(list(_iterate_values(job, common))), []).append(job)
    settings = [
        Setting(dict(_iterate_values(group[0], common)), group, _compute_means(group)) for group in groups.values()
    ]
    _mark_best(settings)
    return settings


def list_metrics(settings: Sequence[Setting]) -> list[str]:
    """Return the names of all metrics, the monitored ones first."""
    monitored = {job.metric for setting in settings for job in setting.jobs}
    names = dict.fromkeys(name for setting in settings for name in setting.metrics)
    return sorted(names, key=lambda name: name not in monitored)


def write_results(folder: Path, settings: Sequence[Setting]) -> None:
    """Write the results of a grid as ``results.json`` and ``results.csv``."""
    content = [
        {
            "setting": dict(setting.values),
            "is_best": setting.is_best,
            "n_jobs": len(setting.jobs),
            "n_complete": setting.n_complete,
            "metrics": {name: _as_json(mean) for name, mean in setting.metrics.items()},
            "directories": [job.directory for job in setting.jobs if job.directory],
        }
        for setting in settings
    ]
    replace_text(folder / "results.json", json.dumps(content, indent=2) + "\n")
    replace_text(folder / "results.csv", write_csv(list(map(_flatten, settings))))


def _iterate_values(job: Job, common: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the key and the value of each override that is neither common to all jobs nor the seed."""
    for override in job.overrides:
        key, _, value = override.lstrip("+").partition("=")
        if override not in common and key != "seed":
            yield key, value


def _compute_means(jobs: Sequence[Job]) -> dict[str, Mean]:
    complete = [job for job in jobs if job.status == "complete"]
    names = sorted({name for job in complete for name in job.last})
    return {name: _compute_mean([job.last[name] for job in complete if name in job.last]) for name in names}


def _compute_mean(values: Sequence[float]) -> Mean:
    finite = all(map(math.isfinite, values))
    error = stdev(values) / math.sqrt(len(values)) if len(values) > 1 and finite else math.nan
    return Mean(fmean(values), error, len(values))


def _mark_best(settings: Sequence[Setting]) -> None:
    """Mark the setting with the best finite mean of the monitored metric, if all jobs have the same one."""
    monitors = {(job.metric, job.mode) for setting in settings for job in setting.jobs if job.status == "complete"}
    if len(monitors) != 1 or len(settings) == 1:
        return
    ((metric, mode),) = monitors
    choose = min if mode == "min" else max
    ranked = [setting for setting in settings if math.isfinite(_get_mean(setting, metric))]
    if ranked:
        choose(ranked, key=lambda setting: _get_mean(setting, metric)).is_best = True


def _get_mean(setting: Setting, metric: str | None) -> float:
    mean = setting.metrics.get(str(metric))
    return math.nan if mean is None else mean.mean


def _as_json(mean: Mean) -> dict[str, Any]:
    """Return a mean for JSON, which has neither NaN nor infinities."""
    values = cast(dict[str, float], mean._asdict())
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _flatten(setting: Setting) -> dict[str, Any]:
    row: dict[str, Any] = {**setting.values, "is_best": setting.is_best}
    row |= {"n_jobs": len(setting.jobs), "n_complete": setting.n_complete}
    for name, (mean, error, _) in setting.metrics.items():
        row |= {name: mean, f"{name} standard error": "" if math.isnan(error) else error}
    return row
