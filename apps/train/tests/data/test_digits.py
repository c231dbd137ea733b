import torch
from sklearn.datasets import load_digits

from frame_train.data import Digits


def test_the_splits_of_digits_are_the_digits_of_scikit_learn_in_order() -> None:
    pixels, labels = load_digits(return_X_y=True)
    splits = [Digits(split) for split in ("train", "valid", "test")]
    assert [len(split) for split in splits] == [1297, 250, 250]
    batches = [split.get_batch(torch.arange(len(split))) for split in splits]
    assert torch.equal(torch.cat([batch["x"] for batch in batches]).flatten(1), torch.from_numpy(pixels / 16).float())
    assert torch.equal(torch.cat([batch["y"] for batch in batches]), torch.from_numpy(labels).long())
