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

from frame_core import BatchedDataset
from frame_train.data import MNIST, Digits, FashionMNIST, InMemoryDataset, TwoViews
from frame_train.data.mnist import FILES


@pytest.fixture
def folder(tmp_path: Path, data_root: Path) -> Path:
    """A copy of the real files that a test may spoil."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in FILES:
        copyfile(data_root / "MNIST" / "raw" / name, folder / name)
    return folder


@pytest.fixture
def mirror(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server on this machine that torchvision's downloader takes for its mirror."""
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


def test_mnist_is_split_into_50000_10000_and_10000(data_root: Path) -> None:
    assert [len(MNIST(str(data_root), split)) for split in ("train", "valid", "test")] == [50_000, 10_000, 10_000]


def test_mnist_holds_the_pictures_that_torchvision_reads_in_their_order(data_root: Path) -> None:
    published = datasets.MNIST(str(data_root), train=True)
    indices = torch.arange(0, 10_000, 97)
    for split, offset in (("train", 0), ("valid", 50_000)):
        batch = MNIST(str(data_root), split).get_batch(indices)
        torch.testing.assert_close(batch["x"], published.data[indices + offset].unsqueeze(1) / 255)
        assert torch.equal(batch["y"], published.targets[indices + offset])
    test = MNIST(str(data_root), "test").get_batch(indices)
    assert torch.equal(test["y"], datasets.MNIST(str(data_root), train=False).targets[indices])


def test_fashion_mnist_holds_the_pictures_that_torchvision_reads(data_root: Path) -> None:
    published = datasets.FashionMNIST(str(data_root), train=True)
    indices = torch.arange(0, 60_000, 997)
    batch = FashionMNIST(str(data_root), "train+valid").get_batch(indices)
    torch.testing.assert_close(batch["x"], published.data[indices].unsqueeze(1) / 255)
    assert torch.equal(batch["y"], published.targets[indices])


def test_two_views_are_of_the_same_datum_and_differ() -> None:
    torch.manual_seed(0)
    views = TwoViews(Digits("valid"))
    batch = views.get_batch(torch.arange(100))
    assert torch.equal(batch["x"], Digits("valid").get_batch(torch.arange(100))["x"])
    assert batch["v1"].shape == batch["v2"].shape == batch["x"].shape
    assert not torch.equal(batch["v1"], batch["v2"])
    distance = (batch["v1"] - batch["x"]).flatten(1).norm(dim=1)
    to_another = (batch["v1"] - batch["x"].roll(1, 0)).flatten(1).norm(dim=1)
    assert (distance < to_another).float().mean() > 0.9
    assert views[3]["v1"].shape == (1, 8, 8)
    assert len(views) == 250


def test_views_without_any_change_are_the_datum() -> None:
    views = TwoViews(Digits("valid"), rotation=0, scaling=0, shift=0, corruption=0)
    batch = views.get_batch(torch.arange(10))
    torch.testing.assert_close(batch["v1"], batch["x"])


def test_views_of_a_data_set_without_batches_of_its_own_are_those_of_its_data() -> None:
    digits = Digits("valid")
    batches: list[dict[str, torch.Tensor]] = []
    for data_set in (digits, [(datum["x"], int(datum["y"])) for datum in map(digits.__getitem__, range(5))]):
        torch.manual_seed(0)
        batches.append(TwoViews(data_set).get_batch(torch.arange(5)))
    assert batches[0].keys() == batches[1].keys()
    for name, value in batches[0].items():
        assert torch.equal(batches[1][name], value)


@pytest.mark.parametrize("name", ["MNIST", "Digits"])
def test_pictures_are_floats_in_the_unit_interval_and_labels_are_integers(
    name: str, request: pytest.FixtureRequest
) -> None:
    data_set = Digits("valid") if name == "Digits" else MNIST(str(request.getfixturevalue("data_root")), "valid")
    batch = data_set.get_batch(torch.arange(200))
    size = 8 if name == "Digits" else 28
    assert batch["x"].shape == (200, 1, size, size)
    assert (batch["x"].min(), batch["x"].max()) == (0, 1)
    assert batch["y"].dtype == torch.long
    assert set(batch["y"].tolist()) == set(range(10))
    assert isinstance(data_set, BatchedDataset)
    torch.testing.assert_close(data_set[7]["x"], batch["x"][7])


def test_digits_are_split_without_overlap_into_all_there_are() -> None:
    splits = [Digits(split) for split in ("train", "valid", "test")]
    assert [len(split) for split in splits] == [1297, 250, 250]
    pictures = torch.cat([split.get_batch(torch.arange(len(split)))["x"] for split in splits]).flatten(1)
    assert len(pictures.unique(dim=0)) == 1797


@pytest.mark.parametrize("make", [Digits, lambda split: MNIST("nowhere", split)])
def test_an_unknown_split_is_refused_with_those_there_are(make: object) -> None:
    with pytest.raises(ValueError, match=r"`split` must be one of .*'valid'.*'test', got 'validation'"):
        make("validation")


def test_tensors_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="equally long"):
        InMemoryDataset({"x": torch.zeros(3), "y": torch.zeros(4)})


def test_data_that_are_not_there_are_told_with_the_folder_the_files_and_what_runs_without(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        MNIST(str(tmp_path), "train")
    for text in (str(tmp_path / "MNIST" / "raw"), *FILES, "`device.download_files` is off", "DIGITS_VAE"):
        assert text in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_named(folder: Path, tmp_path: Path) -> None:
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
def test_a_file_that_is_not_the_published_one_is_refused_by_name(spoil: object, folder: Path, tmp_path: Path) -> None:
    path = folder / FILES[0]
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ValueError, match=f"{FILES[0]}' is not the published file: expected 47,040,016 bytes"):
        MNIST(str(tmp_path), "train")


def test_what_is_not_there_is_downloaded(mirror: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    assert len(MNIST(str(root), "test", download=True)) == 10_000
    assert sorted(path.name for path in root.rglob("*") if path.is_file()) == sorted(FILES)
    assert [path.name for path in root.iterdir()] == ["MNIST"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_download_that_fails_midway_leaves_nothing_and_says_why(mirror: Path, tmp_path: Path) -> None:
    (mirror / f"{FILES[2]}.gz").unlink()
    root = tmp_path / "data"
    with pytest.raises(FileNotFoundError, match=f"Error downloading {FILES[2]}"):
        MNIST(str(root), "train", download=True)
    assert not root.exists()
    gc.collect()  # torchvision does not close the refused connection


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileNotFoundError, match="the folder can't be written: Not a directory"):
        MNIST(str(tmp_path / "file"), "train", download=True)
