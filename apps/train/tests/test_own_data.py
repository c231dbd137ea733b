"""The page about a user's own data, run as a user would."""

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from torchvision.utils import save_image

from frame_train.data import Digits
from pages import DOCS, write_files


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A folder with the code and the configs of the page."""
    write_files(DOCS / "data.md", tmp_path)
    yield tmp_path
    sys.modules.pop("my_data", None)


def run(train: Callable[..., Any], *arguments: str) -> dict[str, float]:
    """Train an experiment of the page, and return the last value of each metric."""
    result = train("--config-dir=my_config", "logging=none", *arguments)
    assert result.code == 0, result
    rows = re.findall(r"│ (\S+) +│ +(-?[\d.]+) │", result.output)
    return {name: float(value) for name, value in rows}


def test_a_classifier_learns_a_table(train: Callable[..., Any], project: Path) -> None:
    assert run(train, "+experiment=tumours")["Accuracy/Validation"] > 0.93  # 0.63 are benign


def test_a_model_learns_padded_text_equally_with_and_without_workers(train: Callable[..., Any], project: Path) -> None:
    (project / "texts").mkdir()
    for name in ("contracts.md", "logger.md"):
        shutil.copy(DOCS / name, project / "texts")
    arguments = ("+experiment=text", "params.folder=texts", "trainer.limit_train_batches=4")
    alone, helped = (run(train, *arguments, f"device.num_workers={number}") for number in (0, 2))
    assert alone == helped
    assert alone["Loss/Validation/loss"] < alone["Train/loss"]


def test_a_vae_trains_on_images_decoded_by_workers(train: Callable[..., Any], project: Path) -> None:
    digits = Digits("valid")
    for index in range(250):
        folder = project / "images" / str(digits[index]["y"].item())
        folder.mkdir(parents=True, exist_ok=True)
        save_image(digits[index]["x"], folder / f"{index}.png")
    metrics = run(train, "+experiment=images", "params.folder=images", "device.num_workers=2", "trainer.max_epochs=10")
    assert -44 < metrics["ELBO/Validation"] < 0  # -44.4 for pixels that are drawn evenly


def test_one_split_of_a_shipped_data_set_is_wrapped(train: Callable[..., Any], project: Path) -> None:
    metrics = run(train, "+experiment=fold", "params.fold=1", "trainer.max_epochs=1")
    assert metrics["Accuracy/Validation"] > 0.5  # chance is 0.1


def test_a_data_set_that_declares_its_form_is_checked_without_its_files(
    train: Callable[..., Any], project: Path
) -> None:
    arguments = ["--check", "--config-dir=my_config", "+experiment=tumours"]
    result = train(*arguments)
    assert (result.code, result.errors) == (0, "")
    result = train(*arguments, "model.predictor.n_columns=31")
    assert "the loss of two training examples can't be computed" in result.errors
    assert "31" in result.errors
