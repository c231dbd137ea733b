import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from torchvision import datasets

from frame_train.data import CIFAR10, SVHN
from frame_train.data.sources import natural_images
from frame_train.data.sources.splits import Splits


def get_md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def make_splits(n_train: int, n_valid: int, n_test: int) -> Splits:
    """Make the splits of a smaller data set in the format of a published one."""
    ranges = {"train": range(n_train), "valid": range(n_train, n_train + n_valid), "test": range(n_test)}
    return Splits(ranges, x_shape=(3, 32, 32), n_labels=10)


@pytest.fixture
def cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray[Any, Any]:
    """Write the files of CIFAR-10 with ten images each; return the images, of shape (60, 3, 32, 32), in order."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    images = np.random.default_rng(0).integers(256, size=(6, 10, 3072), dtype=np.uint8)
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    for name, data in zip(names, images, strict=True):
        content = {"data": data, "labels": [int(row[0]) % 10 for row in data]}
        (folder / name).write_bytes(pickle.dumps(content))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    sums = [[name, get_md5(folder / name)] for name in names]
    monkeypatch.setattr(datasets.CIFAR10, "train_list", sums[:5])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", sums[5:])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": get_md5(folder / "batches.meta")}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    monkeypatch.setattr(natural_images, "_CIFAR10", make_splits(40, 10, 10))
    return images.reshape(-1, 3, 32, 32)


def test_cifar10_has_the_images_of_its_files_in_order(cifar10: np.ndarray[Any, Any], tmp_path: Path) -> None:
    for split, start, stop in (("train", 0, 40), ("valid", 40, 50), ("test", 50, 60)):
        data_set = CIFAR10(str(tmp_path), split)
        images = torch.from_numpy(cifar10[start:stop])
        batch = data_set.get_batch(torch.arange(len(data_set)))
        torch.testing.assert_close(batch["x"], images / 255)
        assert torch.equal(batch["y"], images[:, 0, 0, 0].long() % 10)


def test_a_file_of_another_content_is_refused_before_it_is_unpickled(
    cifar10: np.ndarray[Any, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Print:
        def __reduce__(self) -> Any:
            return print, ("unpickled",)

    (tmp_path / "cifar-10-batches-py" / "data_batch_3").write_bytes(pickle.dumps(Print()))
    with pytest.raises(
        ValueError, match=r"files of CIFAR10 in .* are not the published ones: expected other checksums"
    ):
        CIFAR10(str(tmp_path), "train")
    assert "unpickled" not in capsys.readouterr().out


def test_missing_files_are_reported_by_name(tmp_path: Path) -> None:
    for make, file in ((CIFAR10, "test_batch"), (SVHN, "test_32x32.mat")):
        with pytest.raises(FileNotFoundError, match=rf"{make.__name__} is not in .*\n  needed: .*{file}"):
            make(str(tmp_path), "test")


def test_svhn_has_the_images_of_its_files_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    published: dict[str, Any] = {}
    split_list: dict[str, list[str]] = {}
    for part, n_rows in (("train", 30), ("test", 10)):
        images = generator.integers(256, size=(32, 32, 3, n_rows), dtype=np.uint8)  # height, width, channel, example
        labels = generator.integers(1, 11, size=(n_rows, 1), dtype=np.uint8)  # 10 is the digit 0
        path = tmp_path / f"{part}_32x32.mat"
        scipy.io.savemat(path, {"X": images, "y": labels})
        split_list[part] = ["", path.name, get_md5(path)]
        published[part] = images, labels
    monkeypatch.setattr(datasets.SVHN, "split_list", split_list)
    monkeypatch.setattr(natural_images, "_SVHN", make_splits(25, 5, 10))
    for split, part, start, stop in (("train", "train", 0, 25), ("valid", "train", 25, 30), ("test", "test", 0, 10)):
        data_set = SVHN(str(tmp_path), split)
        images, labels = published[part]
        batch = data_set.get_batch(torch.arange(len(data_set)))
        for index, x in enumerate(batch["x"]):
            image = torch.from_numpy(images[..., start + index])
            torch.testing.assert_close(x, image.permute(2, 0, 1) / 255)
        assert batch["y"].tolist() == [int(label) % 10 for label in labels[start:stop, 0]]


def test_the_splits_have_the_published_numbers_of_examples() -> None:
    splits = ("train", "valid", "train+valid", "test")
    assert [len(CIFAR10.synthesize("nowhere", split)) for split in splits] == [45_000, 5_000, 50_000, 10_000]
    assert [len(SVHN.synthesize("nowhere", split)) for split in splits] == [65_257, 8_000, 73_257, 26_032]
