import pytest
from hypothesis import given
from hypothesis import strategies as st

from frame_core import Clock, Interval

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


@given(st.integers(1, 10**6), st.sampled_from(list(SECONDS)), st.booleans(), st.sampled_from(["", " ", "  "]))
def test_time_is_read_in_seconds_in_singular_and_plural(amount: int, unit: str, plural: bool, space: str) -> None:
    assert Interval.parse(f"{amount}{space}{unit}{'s' * plural}") == Interval(amount * SECONDS[unit], "seconds")


@given(st.integers(1, 10**6), st.sampled_from(["epoch", "global_step", "iteration", "generator_step"]), st.booleans())
def test_a_counter_is_read_in_its_own_unit(amount: int, unit: str, plural: bool) -> None:
    assert Interval.parse(f"{amount} {unit}{'s' * plural}") == Interval(amount, f"{unit}s")


def test_an_amount_may_have_a_fraction() -> None:
    assert Interval.parse("0.5 epochs") == Interval(0.5, "epochs")


@pytest.mark.parametrize(
    "text",
    ["", "often", "60", "seconds", "-1 epoch", "0 epochs", "0.0 seconds", "1 2 epochs", "1,5 epochs", "1e3 s.", None],
)
def test_text_that_is_not_an_interval_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be a positive number and a unit, such as '60 seconds'"):
        Interval.parse(text)


@pytest.mark.parametrize("text", ["end", " end "])
def test_the_end_is_an_interval_only_where_it_is_allowed(text: str) -> None:
    end = Interval.parse(text, allow_end=True)
    end.check_unit({"iteration"})
    clock = Clock(end)
    clock.start(0)
    assert not clock.advance(1e9)
    with pytest.raises(ValueError, match="or '500 iterations', got"):
        Interval.parse(text)
    with pytest.raises(ValueError, match="or '500 iterations', or 'end', got 'ends'"):
        Interval.parse("ends", allow_end=True)


def test_an_unknown_unit_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"iterations, got '5 iteratoins'\. Did you mean `iterations`\?"):
        Interval.parse("5 iteratoins").check_unit({"iteration"})


def test_every_counter_of_the_optimization_is_a_unit() -> None:
    Interval.parse("5 critic_steps").check_unit({"iteration", "critic_step"})


def test_a_clock_is_due_each_time_that_the_interval_has_passed() -> None:
    clock = Clock(Interval.parse("3 iterations"))
    clock.start(0)
    due = []
    for iteration in range(1, 10):
        if clock.advance(iteration):
            clock.restart(iteration)
            due.append(iteration)
    assert due == [3, 6, 9]


def test_a_clock_resumes_from_its_saved_state() -> None:
    clock = Clock(Interval.parse("3 iterations"))
    clock.start(0)
    clock.advance(2)
    resumed = Clock(Interval.parse("3 iterations"))
    resumed.load_state_dict(clock.state_dict())
    resumed.start(2)
    assert resumed.advance(3)


def test_the_time_between_two_processes_does_not_count() -> None:
    resumed = Clock(Interval.parse("60 seconds"))
    resumed.load_state_dict({"passed": 50.0})
    resumed.start(1e6)
    assert not resumed.advance(1e6 + 9)
    assert resumed.advance(1e6 + 10)
