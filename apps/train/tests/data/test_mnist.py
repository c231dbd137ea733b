import gc
import gzip
import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copyfile

import pytest
import torch
from torchvision import datasets

from frame_train.data import MNIST, FashionMNIST
from frame_train.data.mnist import FILES


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
        thread = threading.Thread(target=server.serve_forever)
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


def test_a_missing_data_set_is_reported_with_its_folder_its_files_and_an_alternative(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        MNIST(str(tmp_path), "train")
    for text in (str(tmp_path / "MNIST" / "raw"), *FILES, "`device.download_files` is off", "DIGITS_VAE"):
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
