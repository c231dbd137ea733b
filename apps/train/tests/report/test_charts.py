import json
import math
import re
from hashlib import sha256
from pathlib import Path

import pytest

from frame_train.report import charts
from frame_train.report.charts import make_chart, read_scripts
from frame_train.runs.record import Point


def test_a_value_that_is_not_finite_leaves_a_gap() -> None:
    values = [1.0, 2.0, math.nan, 3.0, math.inf]
    chart = make_chart("Train", {"Train/loss": [Point(step, value) for step, value in enumerate(values)]})
    assert chart["curves"] == [{"name": "loss", "steps": [0, 1, 2, 3, 4], "values": [1.0, 2.0, None, 3.0, None]}]
    json.dumps(chart, allow_nan=False)


def test_an_outlier_does_not_flatten_a_curve_unless_it_is_the_last_value() -> None:
    points = [Point(step, 1 + step / 200) for step in range(200)]
    for curve, n_outside in ((points, 0), ([Point(0, 1e6), *points], 1), ([*points, Point(200, 1e6)], 0)):
        chart = make_chart("loss", {"loss": curve})
        assert chart["n_outside"] == n_outside
        assert (chart["range"][1] > 1e6) == (curve[-1].value == 1e6)


@pytest.mark.parametrize(
    "values", [(0.0, 0.0), (5e-324, -5e-324), (1e308, -1e308), (1.7e308, 1.7e308), (math.nan, math.nan)]
)
def test_every_chart_has_a_range(values: tuple[float, float]) -> None:
    low, high = make_chart("x", {"x": [Point(0, values[0]), Point(10**12, values[1])]})["range"]
    assert low < high


def test_a_log_scale_is_offered_for_positive_values_only() -> None:
    assert make_chart("x", {"x": [Point(0, 1.0), Point(1, math.nan)]})["is_positive"]
    assert not make_chart("x", {"x": [Point(0, 1.0)], "y": [Point(1, 0.0)]})["is_positive"]


def test_the_chart_library_is_the_released_one() -> None:
    library = Path(charts.__file__).parent / "uPlot" / "uPlot.iife.min.js"
    content = library.read_bytes()
    assert b"uPlot (v1.6.32)" in content
    assert sha256(content).hexdigest() == "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"


def test_each_curve_has_a_color_of_the_style() -> None:
    style = (Path(charts.__file__).parent / "report.css").read_text()
    n_colors = int(re.findall(r"index % (\d)", read_scripts()[1])[0])
    assert set(re.findall(r"--c(\d):", style)) == {str(index) for index in range(n_colors)}
