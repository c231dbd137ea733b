import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from frame_core import get_batch
from frame_train.data import Digits, Fold


@given(n_data=st.integers(2, 40), of=st.integers(2, 10))
def test_the_folds_share_out_all_examples_evenly(n_data: int, of: int) -> None:
    data_set = [(torch.tensor(index),) for index in range(n_data)]
    of = min(of, n_data)
    held_out = [Fold(data_set, k, of, held_out=True).indices for k in range(of)]
    assert sorted(index for fold in held_out for index in fold) == list(range(n_data))
    assert max(map(len, held_out)) - min(map(len, held_out)) <= 1
    for k, fold in enumerate(held_out):
        assert sorted([*fold, *Fold(data_set, k, of).indices]) == list(range(n_data))


def test_a_fold_of_sorted_labels_has_all_of_them() -> None:
    labels = torch.tensor(Fold([(index // 20,) for index in range(200)], 0, of=4, held_out=True).indices) // 20
    assert labels.unique().tolist() == list(range(10))


def test_a_fold_reads_the_examples_of_its_data_set() -> None:
    digits = Digits("valid")
    fold = Fold(digits, 1, of=5, held_out=True)
    expected = digits.get_batch(torch.tensor(fold.indices))
    batch = get_batch(fold, torch.arange(len(fold)))
    assert all(torch.equal(batch[name], value) for name, value in expected.items())


@pytest.mark.parametrize(
    ("k", "of", "problem"),
    [
        (0, 1, "`of` must be at least 2, got 1"),
        (0, 4, "`of` must be at most 3, the number of examples, got 4"),
        (3, 3, "`k` must be less than `of`, 3, got 3"),
        (-1, 3, "`k` must be at least 0, got -1"),
    ],
)
def test_a_fold_that_does_not_exist_is_refused(k: int, of: int, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Fold([1, 2, 3], k, of)
