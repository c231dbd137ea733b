import math
import random

from frame_train.report.series import N_DRAWN, group, thin
from frame_train.runs.record import Point


def test_a_chart_has_the_metrics_of_one_prefix_and_order_of_magnitude() -> None:
    def points(*values: float) -> list[Point]:
        return [Point(step, value) for step, value in enumerate(values)]

    metrics = {
        "Train/loss": points(3, 2),
        "ELBO/Train": points(-4, -3),
        "Train/accuracy": points(0.5, 0.9),
        "Train/lr": points(1e-4, 1e-5),
        "ELBO/Validation": points(-5, -4),
        "Test/once": points(1),
        "loss": points(1, math.nan, 2),
        "Never finite": points(math.nan, math.inf),
    }
    assert [(title, list(curves)) for title, curves in group(metrics)] == [
        ("Train", ["Train/loss", "Train/accuracy"]),
        ("Train/lr", ["Train/lr"]),
        ("ELBO", ["ELBO/Train", "ELBO/Validation"]),
        ("loss", ["loss"]),
    ]


def test_no_chart_has_more_curves_than_there_are_colors() -> None:
    metrics = {f"Accuracy/{index}": [Point(0, 0.1), Point(1, 0.9)] for index in range(20)}
    charts = [list(curves) for _, curves in group(metrics)]
    assert [name for chart in charts for name in chart] == list(metrics)
    assert max(map(len, charts)) == 6


def test_thinning_keeps_extremes_both_ends_and_gaps() -> None:
    noise = random.Random(0)
    points = [Point(step, noise.gauss(0, 1)) for step in range(100_000)]
    points[31_234] = Point(31_234, 50.0)
    points[77_777] = Point(77_777, -50.0)
    points[50_000] = Point(50_000, math.nan)
    kept = thin(points)
    assert len(kept) <= 2 * N_DRAWN
    assert kept == sorted(kept, key=lambda point: point.step)
    assert {points[0], points[-1], points[31_234], points[77_777], points[50_000]} <= set(kept)
