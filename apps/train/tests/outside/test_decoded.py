"""A user's images, which are decoded and changed at random when they are read."""

import csv
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.utils.data import Dataset
from torchvision.utils import save_image

import frame_train
from frame_train import CompositionError, Result, TrainingError
from frame_train.data import Digits
from projects import Project

N_IMAGES = {"train": 200, "valid": 70}
PLAIN = "~evaluation.confusion_matrix"  # drawing it takes longer than the training


@pytest.fixture(scope="module")
def images(project: Project) -> str:
    """The override that names a folder of PNG files and a table of them."""
    folder = project.folder / "images"
    folder.mkdir()
    with (folder / "images.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "split"])
        for split, n_images in N_IMAGES.items():
            digits = Digits(split)
            for index in range(n_images):
                save_image(digits[index]["x"], folder / f"{split}_{index}.png")
                writer.writerow([f"{split}_{index}.png", digits[index]["y"].item(), split])
    return f"params.folder={folder}"


@pytest.fixture(scope="module")
def results(project: Project, images: str) -> list[Result]:
    """The result without and with data-loading workers."""
    return [project.train(images, f"device.num_workers={number}", PLAIN) for number in (0, 2)]


def test_training_and_evaluations_are_equal_with_and_without_workers(results: list[Result]) -> None:
    alone, helped = results
    assert alone.last == helped.last
    assert set(alone.last) == {"Accuracy/Train", "Accuracy/Validation", "Loss/Validation/loss", "Train/loss"}


def test_the_labels_are_learned(results: list[Result]) -> None:
    assert results[0].last["Accuracy/Validation"] > 0.2


class Remove(Callback):
    """Removes an image after the first epoch."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._path.unlink(missing_ok=True)


def test_a_run_that_misses_an_image_is_resumed_when_it_is_back(
    project: Project, images: str, results: list[Result]
) -> None:
    path = project.folder / "images" / "train_150.png"
    content = path.read_bytes()
    remove = f"+callbacks.remove={{_target_: {__name__}.Remove, path: {path}}}"
    with pytest.raises(TrainingError) as caught:
        project.train(images, remove, "device.num_workers=2", PLAIN)
    what, checkpoint = str(caught.value).splitlines()
    assert what.startswith("A batch of the data can't be read: [Errno 2] No such file or directory")
    assert what.endswith(f"({project.folder / 'decoded.py'}, line 23)")
    path.write_bytes(content)
    directory = re.findall(r"resume=(\S+)`", checkpoint)[0]
    result = frame_train.train([f"resume={directory}", "~callbacks.remove"])
    names = set(result.last) - {"Train/loss"}  # the mean since the last entry, which the error has logged
    assert {name: result.last[name] for name in names} == {name: results[0].last[name] for name in names}


def test_labels_that_are_no_numbers_are_reported(project: Project, images: str) -> None:
    with pytest.raises(CompositionError, match="Split 'valid' of `data` has no labels: each example needs a `y`"):
        project.train(images, f"data.valid._target_={__name__}.Named", f"data.train._target_={__name__}.Named")


class Named(Dataset[Any]):
    """Images whose labels are strings."""

    def __init__(self, **arguments: Any) -> None:
        self._images = import_module("decoded").ListedImages(**arguments)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**self._images[index], "y": "seven"}
