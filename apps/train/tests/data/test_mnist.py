import gc
import gzip
import hashlib
import math
import struct
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copyfile

import pytest
import torch
from torchvision import datasets

from frame_train.data import EMNIST, KMNIST, MNIST, FashionMNIST
from frame_train.data.sources.mnist import FILES


@pytest.fixture
def folder(tmp_path: Path, data_root: Path) -> Path:
    """Return a copy of the real files that a test may change."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in FILES:
        copyfile(data_root / "MNIST" / "raw" / name, folder / name)
    return folder


@pytest.fixture
def mirror(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve the files as the mirror of torchvision, and return their folder."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    resources = []
    for name in FILES:
        content = gzip.compress((data_root / "MNIST" / "raw" / name).read_bytes(), compresslevel=1)
        (folder / f"{name}.gz").write_bytes(content)
        resources.append((f"{name}.gz", hashlib.md5(content).hexdigest()))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))  # seconds until it stops
        thread.start()
        monkeypatch.setattr(datasets.MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        monkeypatch.setattr(datasets.MNIST, "resources", resources)
        yield folder
        server.shutdown()
        thread.join()


def test_mnist_has_splits_of_50000_10000_and_10000_examples(data_root: Path) -> None:
    assert [len(MNIST(str(data_root), split)) for split in ("train", "valid", "test")] == [50_000, 10_000, 10_000]


def test_mnist_has_the_images_of_torchvision_in_order(data_root: Path) -> None:
    published = datasets.MNIST(str(data_root), train=True)
    indices = torch.arange(0, 10_000, 97)
    for split, offset in (("train", 0), ("valid", 50_000)):
        batch = MNIST(str(data_root), split).get_batch(indices)
        torch.testing.assert_close(batch["x"], published.data[indices + offset].unsqueeze(1) / 255)
        assert torch.equal(batch["y"], published.targets[indices + offset])
    test = MNIST(str(data_root), "test").get_batch(indices)
    assert torch.equal(test["y"], datasets.MNIST(str(data_root), train=False).targets[indices])


def test_fashion_mnist_has_the_images_of_torchvision(data_root: Path) -> None:
    published = datasets.FashionMNIST(str(data_root), train=True)
    indices = torch.arange(0, 60_000, 997)
    batch = FashionMNIST(str(data_root), "train+valid").get_batch(indices)
    torch.testing.assert_close(batch["x"], published.data[indices].unsqueeze(1) / 255)
    assert torch.equal(batch["y"], published.targets[indices])


def write_idx(path: Path, n_rows: int, row_shape: tuple[int, ...], rows: dict[int, bytes]) -> None:
    """Write an IDX file of bytes; rows that are not given are holes of the file, which take no space."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (n_rows, *row_shape)
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)
    with path.open("wb") as file:
        file.write(header)
        for row, content in rows.items():
            file.seek(len(header) + row * len(content))
            file.write(content)
        file.truncate(len(header) + n_rows * math.prod(row_shape))


def write_data_set(folder: Path, prefix: str, n_rows: int, chosen: list[int], n_labels: int) -> None:
    images = torch.randint(256, (len(chosen), 784), dtype=torch.uint8)
    write_idx(
        folder / f"{prefix}-images-idx3-ubyte",
        n_rows,
        (28, 28),
        {row: bytes(image.tolist()) for row, image in zip(chosen, images, strict=True)},
    )
    labels = {row: bytes([1 + row % (n_labels - 1)]) for row in chosen}
    write_idx(folder / f"{prefix}-labels-idx1-ubyte", n_rows, (), labels)


def test_kmnist_has_the_images_of_torchvision(tmp_path: Path) -> None:
    for prefix, n_rows, chosen in (("train", 60_000, [0, 49_999, 50_001]), ("t10k", 10_000, [7])):
        write_data_set(tmp_path / "KMNIST" / "raw", prefix, n_rows, chosen, 10)
    for split, row, published_row in (("train", 49_999, 49_999), ("valid", 1, 50_001), ("test", 7, 7)):
        published = datasets.KMNIST(str(tmp_path), train=split != "test")
        example = KMNIST(str(tmp_path), split)[row]
        torch.testing.assert_close(example["x"], published.data[published_row].unsqueeze(0) / 255)
        assert example["y"] == published.targets[published_row] == 1 + published_row % 9


@pytest.mark.parametrize(
    ("subset", "n_train", "n_test", "n_labels"),
    [("balanced", 112_800, 18_800, 47), ("letters", 124_800, 20_800, 26), ("digits", 240_000, 40_000, 10)],
)
def test_emnist_has_the_images_of_torchvision_upright(
    subset: str, n_train: int, n_test: int, n_labels: int, tmp_path: Path
) -> None:
    n_valid = n_test
    folder = tmp_path / "EMNIST" / "raw"
    write_data_set(folder, f"emnist-{subset}-train", n_train, [n_train - n_valid + 2, n_train - 1], n_labels)
    write_data_set(folder, f"emnist-{subset}-test", n_test, [3], n_labels)
    first_label = 1 if subset == "letters" else 0
    for split, row, published_row in (("valid", 2, n_train - n_valid + 2), ("test", 3, 3)):
        published = datasets.EMNIST(str(tmp_path), split=subset, train=split != "test")
        data_set = EMNIST(str(tmp_path), split, subset)
        assert len(data_set) == n_test
        example = data_set[row]
        torch.testing.assert_close(example["x"], published.data[published_row].T.unsqueeze(0) / 255)
        assert example["y"] == published.targets[published_row] - first_label
    assert len(EMNIST.synthesize("nowhere", "train", subset)) == n_train - n_valid


def test_an_unknown_subset_of_emnist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`subset` must be one of 'balanced', 'letters', 'digits', got 'letter'"):
        EMNIST(str(tmp_path), "train", "letter")


def test_a_missing_data_set_is_reported_with_its_folder_its_files_and_an_alternative(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        MNIST(str(tmp_path), "train")
    for text in (str(tmp_path / "MNIST" / "raw"), *FILES, "`download` is off (`device.download_files`;", "DIGITS_VAE"):
        assert text in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_reported_by_name(folder: Path, tmp_path: Path) -> None:
    (folder / FILES[1]).unlink()
    with pytest.raises(FileNotFoundError, match=f"missing: {FILES[1]}\n"):
        MNIST(str(tmp_path), "train")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: b"<html>404</html>",
        lambda content: content + b"more",
        lambda content: gzip.compress(content[:100]),
    ],
    ids=["truncated", "empty", "a page", "too long", "compressed"],
)
def test_a_file_that_differs_from_the_published_one_is_refused_by_name(
    spoil: object, folder: Path, tmp_path: Path
) -> None:
    path = folder / FILES[0]
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ValueError, match=f"{FILES[0]}' is not the published file: expected 47,040,016 bytes"):
        MNIST(str(tmp_path), "train")


def test_a_missing_data_set_is_downloaded(mirror: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    assert len(MNIST(str(root), "test", download=True)) == 10_000
    assert sorted(path.name for path in root.rglob("*") if path.is_file()) == sorted(FILES)
    assert [path.name for path in root.iterdir()] == ["MNIST"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_download_that_fails_midway_leaves_no_files_and_says_why(mirror: Path, tmp_path: Path) -> None:
    (mirror / f"{FILES[2]}.gz").unlink()
    root = tmp_path / "data"
    with pytest.raises(FileNotFoundError, match=f"Error downloading {FILES[2]}"):
        MNIST(str(root), "train", download=True)
    assert not root.exists()
    gc.collect()  # torchvision does not close the refused connection


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileNotFoundError, match="the folder can't be written: Not a directory"):
        MNIST(str(tmp_path / "file"), "train", download=True)
