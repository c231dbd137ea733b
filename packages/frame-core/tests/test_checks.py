from typing import Any

import pytest

from frame_core import check_choice, check_count


@pytest.mark.parametrize(("count", "minimum"), [(1, 1), (5, 2), (2, 2)])
def test_a_count_that_is_large_enough_is_returned(count: int, minimum: int) -> None:
    assert check_count("n_data", count, minimum) == count


@pytest.mark.parametrize(
    ("count", "minimum", "error", "message"),
    [
        (0, 1, ValueError, "`n_data` must be positive, got 0"),
        (1, 2, ValueError, "`n_data` must be at least 2, got 1"),
        (10**23, 1, ValueError, r"`n_data` must be less than 2\*\*63, got 1000"),
        (2.0, 1, TypeError, r"`n_data` must be an integer, got 2\.0"),
        ("2", 1, TypeError, "`n_data` must be an integer, got '2'"),
    ],
)
def test_an_invalid_count_is_refused(count: Any, minimum: int, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_count("n_data", count, minimum)


def test_a_known_choice_is_returned() -> None:
    assert check_choice("posterior", "Delta", {"Normal": 1, "Delta": 2}) == "Delta"


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("delta", r"^`posterior` must be one of 'Normal', 'Delta', got 'delta'\. Did you mean `Delta`\?$"),
        ("xyz", r"^`posterior` must be one of 'Normal', 'Delta', got 'xyz'\.$"),
        (None, r"^`posterior` must be one of 'Normal', 'Delta', got None\.$"),
    ],
)
def test_an_unknown_choice_is_refused_and_the_choices_are_listed(choice: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_choice("posterior", choice, ("Normal", "Delta"))
