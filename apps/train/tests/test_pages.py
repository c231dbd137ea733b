"""Pages of the documentation, followed from top to bottom."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pages import DOCS, Reader

Command = Callable[..., Any]


@pytest.fixture
def reader(
    train: Command,
    evaluate: Command,
    runs: Command,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Reader:
    """A reader in an empty folder, which stands for the workspace: runs are in its `runs/`."""
    monkeypatch.setattr("frame_train.composition.settings.workspace", lambda: tmp_path)
    return Reader(tmp_path, {"train": train, "evaluate": evaluate, "runs": runs}, capfd)


def test_the_page_about_stored_runs_is_followed(reader: Reader) -> None:
    reader.follow(DOCS / "after_training.md")
    run = reader.names["run"]
    assert run.global_step == 84
    assert reader.names["reconstructions"].shape == (10, 1, 8, 8)
    logged = run.metrics
    assert logged.dropna(subset="LogLikelihood/Validation")["trainer/global_step"].tolist() == [42, 84]
    assert logged["ELBO/Validation"].dropna().nunique() == 1
    assert len(logged["ELBO/Validation"].dropna()) == 3


def test_the_tour_is_followed(reader: Reader) -> None:
    reader.additions = ("trainer.max_epochs=1", "trainer.limit_train_batches=2")
    reader.follow(DOCS / "tour.md")
    assert reader.names["images"].shape == (10, 1, 8, 8)
    (grid,) = (reader.folder / "runs" / "grids").iterdir()
    assert len(list(grid.glob("job-*.json"))) == 6


def test_the_page_about_the_run_directory_names_its_files(reader: Reader) -> None:
    reader.additions = ("trainer.max_epochs=2", "trainer.limit_train_batches=1")
    reader.follow(DOCS / "run_directory.md")
    (run,) = (reader.folder / "runs" / "DIGITS" / "VAE").iterdir()
    page = (DOCS / "run_directory.md").read_text()
    assert {path.name for path in run.glob("[!.]*") if path.name not in page} == set()
    assert [path.name for path in sorted((run / "checkpoints").glob("step-*.ckpt"))] == ["step-00000002.ckpt"]
