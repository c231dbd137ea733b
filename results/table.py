"""Rows of the table of results, and their measurements."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import hypot, inf, sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from frame_loggers.files import replace_text

_FOLDER = Path(__file__).parent
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class Estimate:
    """A mean over seeds, and its standard error."""

    mean: float
    standard_error: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """Estimate the mean of two values or more."""
        return cls(mean(values), stdev(values) / sqrt(len(values)))

    def count_standard_errors(self, other: "Estimate") -> float:
        """Return the distance of two means, in standard errors of their difference."""
        distance, unit = abs(self.mean - other.mean), hypot(self.standard_error, other.standard_error)
        return 0.0 if distance == 0 else distance / unit if unit else inf


@dataclass(frozen=True, config=_STRICT)
class Published:
    """A number of a paper, or of another implementation, as it is published."""

    value: str
    source: str
    """A link in Markdown."""


@dataclass(frozen=True, config=_STRICT)
class Row:
    """An experiment, what to measure, and what to expect.

    Args:
        experiment: Name of the experiment.
        metric: Name of a logged number, whose last value is used.
        seeds: Number of runs, which have the seeds 0, 1, 2, ….
        minutes: CPU minutes of one run, roughly.
        overrides: The overrides of the command line.
        unit: Unit of the metric. Percentages are logged as fractions.
        expected: The mean over seeds, and its standard error; None if the row was never measured.
        tolerance: How far a measured mean may be from the expected one, in standard errors of the difference.
        baseline: The baseline: ``pixels`` as the representation, ``training examples`` as the samples, or the ``truth``
            about a synthetic data set.
        picture: Name of a logged image. The page shows the last one of seed 0.
        paper: Number of the paper.
        implementation: Number of a known implementation.
        note: Differences from the published setting, and other remarks.
    """

    experiment: str
    metric: str
    seeds: int
    minutes: float
    overrides: tuple[str, ...] = ()
    unit: Literal["nats", "%", ""] = ""
    expected: Estimate | None = None
    tolerance: float = 4.0
    baseline: Literal["pixels", "training examples", "truth"] | None = None
    picture: str | None = None
    paper: Published | None = None
    implementation: Published | None = None
    note: str = ""

    def expects(self, measured: Estimate) -> bool:
        """Return whether a mean is within the tolerance. If the row expects no mean, any is."""
        return self.expected is None or self.expected.count_standard_errors(measured) <= self.tolerance

    @property
    def is_quick(self) -> bool:
        """Whether a run takes less than two minutes."""
        return self.minutes < 2

    @property
    def arguments(self) -> list[str]:
        """The arguments of `train`, without the seed."""
        return [f"+experiment={self.experiment}", *self.overrides]


@dataclass(frozen=True, config=_STRICT)
class Measurement:
    """Results of the runs of a row.

    Args:
        arguments: The arguments of `train` at the time.
        values: The metric of each seed, in order.
        commits: The commits of the runs, with a ``+`` if they had uncommitted changes.
        date: Day of the last run.
        machine: Processor and number of cores.
        torch: Version of torch.
        baseline: The metric of the baseline, if the row has one.
    """

    arguments: list[str]
    values: list[float]
    commits: list[str]
    date: str
    machine: str
    torch: str
    baseline: float | None = None

    @property
    def estimate(self) -> Estimate:
        """The mean over seeds, and its standard error."""
        return Estimate.of(self.values)


def is_of(metric: str, evaluation: str) -> bool:
    """Return whether an evaluation of a name logs the metric, alone or among others.

    >>> is_of("Loss/Validation/loss", "Loss/Validation"), is_of("Loss/Validation", "Loss")
    (True, False)
    """
    return evaluation in (metric, metric.rpartition("/")[0])


def read_rows(folder: Path = _FOLDER / "rows") -> dict[str, Row]:
    """Read all rows by name.

    Raises:
        ValidationError: A key is missing, unknown or of a wrong type.
        ValueError: Two rows have one name.
    """
    rows: dict[str, Row] = {}
    for path in sorted(folder.glob("*.yaml")):
        found = TypeAdapter(dict[str, Row]).validate_python(_load_yaml(path))
        if twice := rows.keys() & found.keys():
            raise ValueError(f"Rows must have different names, got {', '.join(sorted(twice))} twice; rename one.")
        rows.update(found)
    return rows


def read_measurements(path: Path = _FOLDER / "measured.yaml") -> dict[str, Measurement]:
    """Read all measurements by the name of their row."""
    content = _load_yaml(path) if path.exists() else None
    return TypeAdapter(dict[str, Measurement]).validate_python(content or {})


def _load_yaml(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)  # ten times as fast as `yaml.safe_load`


def write_measurements(measurements: Mapping[str, Measurement], path: Path = _FOLDER / "measured.yaml") -> None:
    """Write all measurements, in the order of their names."""
    content = {name: asdict(measurements[name]) for name in sorted(measurements)}
    text = yaml.safe_dump(content, sort_keys=False, width=120, allow_unicode=True)
    replace_text(path, f"# Written by `uv run python -m results verify`.\n{text}")
