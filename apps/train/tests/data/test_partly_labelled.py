import pytest
import torch

from frame_core import get_batch
from frame_train.data import Digits, PartlyLabelled


def test_equally_many_examples_of_each_label_keep_it() -> None:
    digits = Digits("train")
    expected, batch = (get_batch(data, torch.arange(len(digits))) for data in (digits, PartlyLabelled(digits, 50)))
    known = batch["y"] >= 0
    assert batch["y"][known].bincount().tolist() == [5] * 10
    assert torch.equal(batch["y"][known], expected["y"][known])
    assert (batch["y"][~known] == -1).all()
    assert torch.equal(batch["x"], expected["x"])


def test_the_labels_are_the_same_every_time_and_not_the_first() -> None:
    first, second = (get_batch(PartlyLabelled(Digits("train"), 50), torch.arange(1297))["y"] for _ in range(2))
    assert torch.equal(first, second)
    assert (first[650:] >= 0).any()


def test_another_seed_chooses_other_labels() -> None:
    first, second = (PartlyLabelled(Digits("train"), 50, seed) for seed in range(2))
    assert not torch.equal(first[:]["y"], second[:]["y"])


def test_without_the_other_examples_the_same_labelled_ones_remain() -> None:
    every, only = (PartlyLabelled(Digits("train"), 50, keep_unlabelled=keep)[:] for keep in (True, False))
    known = every["y"] >= 0
    assert sorted(every["x"][known].flatten(1).tolist()) == sorted(only["x"].flatten(1).tolist())
    assert only["y"].bincount().tolist() == [5] * 10


@pytest.mark.parametrize("n_labelled", [55, 2000])
def test_a_number_that_cannot_be_shared_out_is_refused(n_labelled: int) -> None:
    with pytest.raises(ValueError, match=rf"multiple of 10, the number of labels, and at most \d+, got {n_labelled}"):
        PartlyLabelled(Digits("train"), n_labelled)
