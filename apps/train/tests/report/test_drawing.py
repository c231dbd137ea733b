import math
import re

from frame_train.report.drawing import count_outside, draw_curves
from frame_train.runs.record import Point


def test_a_value_that_is_not_finite_leaves_a_gap() -> None:
    values = [1.0, 2.0, math.nan, 3.0, 4.0, math.inf, 5.0]
    curve = draw_curves("loss", {"loss": [Point(step, value) for step, value in enumerate(values)]}, (0, 6))
    lines = re.findall(r'<polyline points="(.*?)"', curve)
    assert [len(line.split()) for line in lines] == [2, 2]
    assert curve.count("<circle") == 5
    assert "nan" not in curve
    assert "inf" not in curve


def test_an_outlier_does_not_flatten_a_curve_unless_it_is_the_last_value() -> None:
    points = [Point(step, 1 + step / 200) for step in range(200)]
    assert count_outside({"loss": points}) == 0
    assert count_outside({"loss": [Point(0, 1e6), *points]}) == 1
    assert count_outside({"loss": [*points, Point(200, 1e6)]}) == 0
