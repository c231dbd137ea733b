import pytest

from frame_train.data import MNIST, Digits


@pytest.mark.parametrize("make", [Digits, lambda split: MNIST("nowhere", split)])
def test_an_unknown_split_is_refused_with_a_list_of_the_splits(make: object) -> None:
    with pytest.raises(ValueError, match=r"`split` must be one of .*'valid'.*'test', got 'validation'"):
        make("validation")
