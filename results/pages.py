"""The page `docs/results.md` and the table in the README, both written from the table and its measurements."""

import re
from collections.abc import Iterator, Mapping, Sequence
from math import floor, log10
from pathlib import Path

from frame_loggers.files import replace_text
from results.table import Estimate, Measurement, Row

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results.md"
README = ROOT / "README.md"
PICTURES = ROOT / "docs" / "images"

_README_ROWS = ("DIGITS_VAE", "DIGITS_Classifier", "MNIST_Classifier", "MNIST_VAE_beta_1", "MNIST_VIB")
_BLOCK = re.compile(r"(?<=<!-- results -->\n).*?(?=<!-- end of results -->)", re.DOTALL)

_INTRODUCTION = """\
# Results

Reproduce the results of the shipped experiments, and compare them with published numbers:

```
uv run python -m results verify             # trains every row that is not trained yet, and writes this page
uv run python -m results verify --quick     # only rows whose runs take under two minutes
uv run python -m results verify DIGITS_VAE  # one row
```

The command writes this page from the rows in `results/rows` and the measurements in `results/measured.yaml`. Each
number is a mean over seeds ± its standard error. `verify` fails if a mean is farther from the expected one than the row
tolerates, by default 4 standard errors of the difference.
"""


def get_picture(name: str) -> Path:
    """Return the path of the picture of a row."""
    return PICTURES / f"{name}.png"


def write_pages(rows: Mapping[str, Row], measurements: Mapping[str, Measurement]) -> None:
    """Write `docs/results.md`, and the table in the README."""
    replace_text(PAGE, format_page(rows, measurements))
    replace_text(README, insert_table(README.read_text(encoding="utf-8"), rows, measurements))


def format_page(rows: Mapping[str, Row], measurements: Mapping[str, Measurement]) -> str:
    """Return the text of `docs/results.md`."""
    table = "\n".join(_format_table(rows, measurements, list(rows), "#"))
    sections = "\n".join(_format_section(name, row, measurements.get(name)) for name, row in rows.items())
    return f"{_INTRODUCTION}\n{table}\n\n{sections}"


def insert_table(readme: str, rows: Mapping[str, Row], measurements: Mapping[str, Measurement]) -> str:
    """Return the README with some of the measured rows between its two comments."""
    names = [name for name in _README_ROWS if name in measurements]
    table = "\n".join(_format_table(rows, measurements, names, "docs/results.md#"))
    return _BLOCK.sub(lambda _: table + "\n", readme)


def format_estimate(estimate: Estimate, unit: str) -> str:
    """Return a mean and its standard error, with the digits that the error leaves.

    >>> format_estimate(Estimate(-103.912, 0.14), "nats"), format_estimate(Estimate(0.97812, 0.0004), "%")
    ('−103.91 ± 0.14 nats', '97.81 ± 0.04 %')
    """
    n_digits = _count_digits(estimate, unit)
    mean, error = (_format(number, unit, n_digits) for number in (estimate.mean, estimate.standard_error))
    return f"{mean} ± {error} {unit}".rstrip()


def _count_digits(estimate: Estimate, unit: str) -> int:
    """Return the number of decimals that a standard error leaves: to its first digit, or its second after a 1."""
    error = estimate.standard_error * (100 if unit == "%" else 1)
    if error == 0:
        return 2
    exponent = floor(log10(error))
    return min(4, max(0, (1 if error < 2 * 10**exponent else 0) - exponent))


def _format(number: float, unit: str, n_digits: int) -> str:
    return f"{number * (100 if unit == '%' else 1):,.{n_digits}f}".replace("-", "−")


def _format_table(
    rows: Mapping[str, Row], measurements: Mapping[str, Measurement], names: Sequence[str], page: str
) -> Iterator[str]:
    yield "| row | metric | measured | paper | known implementation |"
    yield "| --- | --- | --- | --- | --- |"
    for name in names:
        row = rows[name]
        published = [
            f"{number.value} ({number.source})" if number else "" for number in (row.paper, row.implementation)
        ]
        result = format_result(row, measurements.get(name))
        yield f"| {' | '.join([f'[`{name}`]({page}{name.lower()})', row.metric, result, *published])} |"


def format_result(row: Row, measurement: Measurement | None) -> str:
    """Return the measured mean, the baseline, and the expected mean if it is outside the tolerance."""
    if measurement is None:
        return "not run"
    estimate = measurement.estimate
    result = format_estimate(estimate, row.unit)
    if row.expected is not None and not row.expects(estimate):
        result += f", which is not the expected {format_estimate(row.expected, row.unit)}"
    if measurement.baseline is not None:
        error = min(estimate.standard_error, abs(measurement.baseline) / 10)  # shows two digits or more
        n_digits = _count_digits(Estimate(measurement.baseline, error), row.unit)
        result += f"; {row.baseline}: {_format(measurement.baseline, row.unit, n_digits)} {row.unit}".rstrip()
    return result


def _format_section(name: str, row: Row, measurement: Measurement | None) -> str:
    parts = [f"## {name}", f"```\n{' '.join(['uv run train', *row.arguments])}\n```", row.note.strip()]
    if measurement is None:
        parts.append(f"This row was not run. A run takes about {row.minutes:g} min of CPU time.")
    else:
        parts.append(_format_measurement(row, measurement))
        if row.picture is not None:
            parts.append(f'<img src="images/{get_picture(name).name}" alt="{row.picture} of {name}" width="242">')
            parts.append(f"*{row.picture} of seed 0, at the end.*")
    return "\n\n".join(filter(None, parts)) + "\n"


def _format_measurement(row: Row, measurement: Measurement) -> str:
    n_digits = _count_digits(measurement.estimate, row.unit) + 1
    values = ", ".join(_format(value, row.unit, n_digits) for value in measurement.values)
    lines = [
        f"- {row.metric} of the seeds 0 to {row.seeds - 1}: {values} {row.unit}".rstrip(),
        f"- trained by commit {', '.join(f'`{commit}`' for commit in measurement.commits)} on {measurement.date}",
        f"- {measurement.machine}, torch {measurement.torch}; a run takes about {row.minutes:g} min of CPU time",
    ]
    return "\n".join(lines)
