import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frame_loggers.metrics_file import (
    Histogram,
    MetricsFile,
    MetricsLine,
    is_image_path,
    read_image_name,
    suggest_image_paths,
)

NUMBERS = st.floats() | st.integers(-(2**60), 2**60)
TEXTS = st.text().filter(lambda text: text not in ("NaN", "Infinity", "-Infinity"))
NAMES = st.text().filter(
    lambda name: name not in ("time", "seconds", "trainer/global_step") and not name.startswith("counters/")
)
TABLES = st.dictionaries(st.text(), st.lists(NUMBERS | TEXTS | st.booleans() | st.none()))
FINITE = st.floats(allow_nan=False, allow_infinity=False)
HISTOGRAMS = st.lists(st.tuples(FINITE, st.integers(0, 2**40)), min_size=1).map(
    lambda bins: Histogram(sorted([0.0, *(edge for edge, _ in bins)]), [n for _, n in bins], non_finite=len(bins))
)
LINES = st.builds(
    MetricsLine,
    values=st.dictionaries(NAMES, NUMBERS | TEXTS | TABLES | HISTOGRAMS),
    global_step=st.none() | st.integers(0, 2**50),
    time=st.none() | FINITE,
    seconds=st.none() | FINITE,
    counters=st.dictionaries(st.text(), st.integers(0, 2**50)),
)


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


@given(LINES)
def test_a_line_reads_back_as_it_was_written(line: MetricsLine) -> None:
    text = line.encode()
    assert text.isascii()
    assert text.splitlines(keepends=True) == [text]
    json.loads(text, parse_constant=refuse)
    assert repr(MetricsLine.decode(text)) == repr(line)  # `repr`, because NaN does not equal NaN


@given(LINES, st.integers(0))
def test_a_truncated_line_is_not_read(line: MetricsLine, cut: int) -> None:
    text = line.encode().rstrip("\n")
    assert MetricsLine.decode(text[: cut % len(text)]) is None


@pytest.mark.parametrize("name", ["time", "seconds", "trainer/global_step", "counters/iteration"])
def test_a_value_with_a_reserved_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}.*log the value under another name"):
        MetricsLine({name: 1.0}, counters={"iteration": 1}).encode()


@pytest.mark.parametrize(
    "value",
    [
        {"edges": [], "counts": [], "non_finite": 0},
        {"edges": [0, "NaN"], "counts": [1], "non_finite": 0},
        {"edges": [2, 1], "counts": [1], "non_finite": 0},
        {"edges": [1, 2], "counts": [-1], "non_finite": 0},
        {"edges": [1, 2], "counts": [1, 1], "non_finite": 0},
        {"edges": 3, "counts": [1], "non_finite": 0},
    ],
)
def test_an_object_that_is_not_a_histogram_stays_an_object(value: object) -> None:
    line = MetricsLine.decode(json.dumps({"a": value}))
    assert line is not None
    assert isinstance(line.values["a"], dict)


def test_measurements_that_are_not_finite_numbers_are_unknown() -> None:
    for value in (None, "NaN", "soon", True, [1], 10**400):
        line = MetricsLine.decode(json.dumps({"trainer/global_step": value, "time": value, "seconds": value}))
        assert line == MetricsLine({})


def test_lines_that_are_not_json_objects_are_skipped(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "run")
    assert list(file.decode_lines()) == []
    for step in range(2):
        file.append(MetricsLine({"loss": step / 2}, step))
    with (tmp_path / "run" / "metrics.jsonl").open("ab") as raw:
        raw.write(b'\n[1]\nnull\n\xff\xfe\n{"loss": 1}\n{"lo')
    assert [line and line.values["loss"] for line in file.decode_lines()] == [0.0, 0.5, None, None, None, 1, None]
    assert [line.values["loss"] for line in file.read()] == [0.0, 0.5, 1]


def test_truncating_to_a_flushed_length_removes_what_came_later(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path)
    file.truncate(file.flush())
    assert list(tmp_path.iterdir()) == []
    file.append(MetricsLine({"loss": 1.0}))
    n_bytes = file.flush()
    file.append(MetricsLine({"loss": 2.0}))
    file.truncate(n_bytes)
    file.truncate(10 * n_bytes)
    assert [line.values["loss"] for line in file.read()] == [1.0]


def test_cutting_back_a_file_that_is_too_short_removes_its_incomplete_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = MetricsFile(tmp_path)
    for loss in (1.0, 2.0):
        file.append(MetricsLine({"loss": loss}))
    n_bytes = file.flush()
    file.truncate(n_bytes - 5)
    file.cut_back(n_bytes)
    assert "entries of the time before the checkpoint are missing" in caplog.text
    file.append(MetricsLine({"loss": 3.0}))
    assert [line and line.values["loss"] for line in file.decode_lines()] == [1.0, 3.0]


@given(st.text(), st.none() | st.integers(0, 10**15 - 1))
def test_the_path_of_an_image_contains_its_step(name: str, step: int | None) -> None:
    for path in islice(suggest_image_paths(name, step), 3):
        assert is_image_path(path)
        if step is not None:
            assert read_image_name(Path(path))[1] == step


@pytest.mark.parametrize(
    "value", ["images/../run.json", "images/a/b.png", "images/a.svg", "a.png", "images/a.png\n", 1]
)
def test_other_values_are_not_image_paths(value: object) -> None:
    assert not is_image_path(value)


def test_reading_imports_neither_torch_nor_lightning_nor_pandas() -> None:
    slow = "{'torch', 'pytorch_lightning', 'pandas', 'numpy', 'PIL'}"
    program = f"import sys, frame_loggers.metrics_file; print({slow} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "set()\n"
