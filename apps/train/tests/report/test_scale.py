import pytest

from frame_train.report.scale import Scale, format_duration


@pytest.mark.parametrize(
    "values",
    [
        (0.0, 0.0),
        (5e-324, -5e-324),
        (1e308, -1e308),
        (1.7e308, 1.7e308),
        (1.0, 1.0 + 2e-16),
        (1e16, 1e16 + 2),
        (1e-5, 2e-5),
        (-3e6, 4e6),
    ],
)
def test_every_range_has_an_axis(values: tuple[float, float]) -> None:
    ticks = Scale.covering(min(values), max(values)).ticks()
    assert 1 < len(ticks) < 10
    assert len({label for _, label in ticks}) == len(ticks)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.2, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h"), (7260.4, "2 h 1 min"), (90000, "1 d 1 h")],
)
def test_a_duration_is_formatted_in_two_units(seconds: float, told: str) -> None:
    assert format_duration(seconds) == told
