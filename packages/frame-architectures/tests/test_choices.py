import pytest

from frame_architectures.choices import check_choice


def test_a_choice_is_given_back() -> None:
    assert check_choice("posterior", "Delta", {"Normal": 1, "Delta": 2}) == "Delta"


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("delta", r"^`posterior` must be one of 'Normal', 'Delta', got 'delta'; did you mean 'Delta'\?$"),
        ("xyz", r"^`posterior` must be one of 'Normal', 'Delta', got 'xyz'\.$"),
        (None, r"^`posterior` must be one of 'Normal', 'Delta', got None\.$"),
    ],
)
def test_another_one_is_refused_and_the_choices_are_listed(choice: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_choice("posterior", choice, ("Normal", "Delta"))
