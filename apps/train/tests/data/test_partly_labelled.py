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


@pytest.mark.parametrize("n_labelled", [55, 2000])
def test_a_number_that_cannot_be_shared_out_is_refused(n_labelled: int) -> None:
    with pytest.raises(ValueError, match=rf"multiple of 10, the number of labels, and at most \d+, got {n_labelled}"):
        PartlyLabelled(Digits("train"), n_labelled)
