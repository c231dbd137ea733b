import torch

from frame_train.data import Digits


def test_the_splits_of_digits_are_disjoint_and_complete() -> None:
    splits = [Digits(split) for split in ("train", "valid", "test")]
    assert [len(split) for split in splits] == [1297, 250, 250]
    pictures = torch.cat([split.get_batch(torch.arange(len(split)))["x"] for split in splits]).flatten(1)
    assert len(pictures.unique(dim=0)) == 1797
