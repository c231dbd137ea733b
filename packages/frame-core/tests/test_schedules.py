import math
from fractions import Fraction
from math import log, nan
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from frame_core import (
    CyclicWarmup,
    ExponentialWarmup,
    Interval,
    LinearWarmup,
    PiecewiseLinear,
    Schedule,
    check_non_negative,
    get_value,
)

NUMBERS = st.integers(-100, 100)
POSITIVE_NUMBERS = st.floats(1e-3, 1e3)
INTEGERS = st.integers(1, 100)

Warmup = type[LinearWarmup] | type[ExponentialWarmup]


class Dip(Schedule):
    """Negative halfway, and positive at both ends."""

    def compute_value(self, fraction: float) -> float:
        return abs(fraction - 0.5) - 0.1


class Steps(Schedule):
    """Increases in steps, and returns an int instead of a float."""

    def compute_value(self, fraction: float) -> float:
        return int(fraction * 4)


@given(start=NUMBERS, end=NUMBERS, fraction=st.fractions(0, 1, max_denominator=1000))
def test_a_linear_warmup_is_a_straight_line_from_start_to_end(start: int, end: int, fraction: Fraction) -> None:
    schedule = LinearWarmup(start, end, over="5 epochs")
    schedule.advance_to(float(fraction))
    expected = start + (end - start) * fraction  # exactly, in fractions
    torch.testing.assert_close(schedule(), torch.tensor(float(expected)), rtol=1e-6, atol=1e-5)


@given(start=POSITIVE_NUMBERS, end=POSITIVE_NUMBERS, fraction=st.floats(0, 1))
def test_the_logarithm_of_an_exponential_warmup_is_a_straight_line(start: float, end: float, fraction: float) -> None:
    schedule = ExponentialWarmup(start, end, over="5 epochs")
    schedule.advance_to(fraction)
    expected = LinearWarmup(log(start), log(end), over="5 epochs").compute_value(fraction)
    torch.testing.assert_close(schedule().log(), torch.tensor(expected), rtol=1e-6, atol=1e-5)  # float32


@pytest.mark.parametrize("schedule", [LinearWarmup, ExponentialWarmup])
@given(start=INTEGERS, end=INTEGERS, fraction=st.floats(1, 1e9))
def test_the_number_is_constant_after_the_end(schedule: Warmup, start: int, end: int, fraction: float) -> None:
    warmup = schedule(start, end, over="5 epochs")
    warmup.advance_to(fraction)
    assert warmup().item() == end


@pytest.mark.parametrize("schedule", [LinearWarmup, ExponentialWarmup])
def test_a_schedule_is_at_its_start_until_it_is_advanced(schedule: Warmup) -> None:
    warmup = schedule(0.25, 1.0, over="5 epochs")
    assert warmup().item() == 0.25
    warmup.advance_to(-1.0)
    assert warmup().item() == 0.25


@pytest.mark.parametrize("schedule", [LinearWarmup, ExponentialWarmup])
def test_a_schedule_can_be_moved_back(schedule: Warmup) -> None:
    warmup, untouched = schedule(0.5, 1.0, over="5 epochs"), schedule(0.5, 1.0, over="5 epochs")
    for fraction in (0.5, 2.0, 0.25):
        warmup.advance_to(fraction)
    untouched.advance_to(0.25)
    assert warmup().item() == untouched().item()


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (0.0, 1.0, r"`start` must be positive and finite, got 0\.0\."),
        (1.0, -1.0, r"`end` must be positive and finite, got -1\.0\."),
    ],
)
def test_an_exponential_warmup_of_a_number_that_is_not_positive_is_refused(
    start: float, end: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ExponentialWarmup(start, end, over="5 epochs")


def test_a_piecewise_linear_schedule_interpolates_between_its_points() -> None:
    schedule = PiecewiseLinear([[2, 0.0], [5, 0.0], [15, 1.0], [20, 0.25]], unit="epochs")
    assert Interval.parse(schedule.over) == Interval(20.0, "epochs")
    expected = {0: 0.0, 2: 0.0, 3.5: 0.0, 5: 0.0, 10: 0.5, 12.5: 0.75, 15: 1.0, 17: 0.7, 20: 0.25, 25: 0.25}
    assert {x: schedule.compute_value(x / 20) for x in expected} == pytest.approx(expected)


@pytest.mark.parametrize("points", [[], [[3, 1.0]], [[-1, 0.0], [2, 1.0]], [[0, 0.0], [4, 1.0], [2, 0.5]]])
def test_points_that_do_not_increase_are_refused(points: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="`points` must have two or more positions, not negative and increasing, got"):
        PiecewiseLinear(points, unit="epochs")


@pytest.mark.parametrize("points", [3, [1, 2], [[0, 1, 2], [3, 4, 5]], [["zero", 0.0], [1, 1.0]]])
def test_points_that_are_not_pairs_are_refused(points: Any) -> None:
    with pytest.raises(TypeError, match="`points` must be pairs of a position and a number, got"):
        PiecewiseLinear(points, unit="epochs")


@given(n_cycles=st.integers(1, 8), rise=st.floats(0.1, 1), fraction=st.floats(0, 0.999))
def test_a_cyclic_warmup_repeats_a_linear_one(n_cycles: int, rise: float, fraction: float) -> None:
    schedule = CyclicWarmup(0.5, 2.0, "training", n_cycles, rise)
    warmup = LinearWarmup(0.5, 2.0, over="1 epoch")
    within = fraction * n_cycles - math.floor(fraction * n_cycles)
    assert schedule.compute_value(fraction) == pytest.approx(warmup.compute_value(within / rise))
    assert schedule.compute_value(1.0) == schedule.compute_value(7.0) == 2.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_cycles": 0}, "`n_cycles` must be positive, got 0"),
        ({"rise": 0.0}, "`rise` must be greater than 0 and at most 1, got 0.0"),
        ({"rise": 2}, "`rise` must be greater than 0 and at most 1, got 2"),
    ],
)
def test_a_cycle_out_of_its_range_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CyclicWarmup(0.0, 1.0, "training", **options)


def test_the_duration_is_stored_for_the_optimization() -> None:
    assert LinearWarmup(0.0, 1.0, over="5 epochs").over == "5 epochs"


def test_the_number_is_a_float_even_if_an_integer_is_computed() -> None:
    assert LinearWarmup(0, 1, over="5 epochs")().dtype == torch.float32
    assert Steps("1 epochs")().dtype == torch.float32


def test_the_number_is_in_the_state_dict_of_the_model() -> None:
    model, other = (nn.ModuleDict({"beta": LinearWarmup(0.0, 1.0, over="5 epochs")}) for _ in range(2))
    model["beta"].advance_to(0.75)
    assert list(model.state_dict()) == ["beta.value"]
    other.load_state_dict(model.state_dict())
    assert other["beta"]().item() == 0.75
    assert list(model.parameters()) == []


def test_a_schedule_moves_to_the_device_of_the_model() -> None:
    schedule = LinearWarmup(0.0, 1.0, over="5 epochs").to("meta")
    schedule.advance_to(0.5)  # no value is read
    assert schedule().device.type == "meta"


def test_a_loss_does_not_change_when_its_schedule_is_advanced() -> None:
    schedule = LinearWarmup(0.0, 1.0, over="5 epochs")
    loss = get_value(schedule) * torch.ones((), requires_grad=True)
    schedule.advance_to(1.0)
    assert loss.item() == 0.0


@pytest.mark.parametrize("number", [0, 0.5, -1.0])
def test_the_value_of_a_number_is_itself(number: float) -> None:
    assert get_value(number) is number


def test_the_value_of_a_schedule_is_its_current_number() -> None:
    schedule = LinearWarmup(0.0, 2.0, over="5 epochs")
    schedule.advance_to(0.5)
    torch.testing.assert_close(get_value(schedule), torch.tensor(1.0))


def test_a_schedule_is_abstract() -> None:
    assert Schedule.__abstractmethods__ == {"compute_value"}


@pytest.mark.parametrize("number", [0, 0.5, LinearWarmup(0.0, 1.0, over="5 epochs")])
def test_a_number_or_schedule_that_is_not_negative_is_returned(number: float | Schedule) -> None:
    assert check_non_negative("beta", number) is number


@pytest.mark.parametrize(
    ("number", "error", "message"),
    [
        (-1.0, ValueError, r"`beta` must be non-negative, got -1\.0\."),
        (nan, ValueError, r"`beta` must be non-negative, got nan\."),
        (
            LinearWarmup(-1.0, 1.0, over="5 epochs"),
            ValueError,
            r"got LinearWarmup\(start=-1.0, end=1.0, over='5 epochs'",
        ),
        (LinearWarmup(1.0, -1.0, over="5 epochs"), ValueError, "`beta` must be non-negative, got LinearWarmup"),
        (PiecewiseLinear([[0, 0.0], [1, -1.0], [5, 1.0]], "epochs"), ValueError, "got PiecewiseLinear"),
        (Dip("5 epochs"), ValueError, "`beta` must be non-negative, got Dip"),
        ("1", TypeError, "`beta` must be a number or a schedule, got '1'"),
        (None, TypeError, "`beta` must be a number or a schedule, got None"),
    ],
)
def test_a_negative_number_or_another_type_is_refused(number: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_non_negative("beta", number)
