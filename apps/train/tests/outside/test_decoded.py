"""A user's images, which are decoded and changed at random when they are read."""

import csv

import pytest
from torchvision.utils import save_image

from frame_train import Result
from frame_train.data import Digits
from projects import Project

N_IMAGES = {"train": 200, "valid": 100}


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
    return [project.train(images, f"device.num_workers={number}") for number in (0, 2)]


def test_training_and_evaluations_are_equal_with_and_without_workers(results: list[Result]) -> None:
    alone, helped = results
    assert alone.last == helped.last
    assert set(alone.last) == {"Accuracy/Train", "Accuracy/Validation", "Loss/Validation/loss", "Train/loss"}


def test_the_labels_are_learned(results: list[Result]) -> None:
    assert results[0].last["Accuracy/Validation"] > 0.2
