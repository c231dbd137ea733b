"""Pages of the documentation, followed from top to bottom."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from frame_train import load_run
from frame_train.composition.settings import config_directory, workspace
from pages import DOCS, Reader, read_blocks, write_files
from runs import read_entries

Command = Callable[..., Any]

APP = Path(__file__).parents[1]


@pytest.fixture
def reader(
    train: Command,
    evaluate: Command,
    runs: Command,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Reader]:
    """A reader in an empty folder, which stands for the workspace: runs are in its `runs/`."""
    monkeypatch.setattr("frame_train.composition.settings.workspace", lambda: tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield Reader(tmp_path, {"train": train, "evaluate": evaluate, "runs": runs}, capfd)
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


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


def test_the_page_about_models_is_followed(reader: Reader) -> None:
    reader.additions = ("trainer.max_epochs=3",)
    reader.follow(DOCS / "model.md")
    (run,) = (reader.folder / "runs" / "my_project" / "denoising").iterdir()
    probe = load_run(run, allow=["my_model"]).metrics["LinearProbe/Validation"].dropna()
    assert probe.iloc[-1] > 0.5  # chance is 0.1


def test_the_page_about_evaluations_is_followed(reader: Reader) -> None:
    reader.additions = ("trainer.max_epochs=1", "trainer.limit_train_batches=2")
    reader.follow(DOCS / "evaluation.md")
    (run,) = (reader.folder / "runs" / "DIGITS" / "VAE").iterdir()
    *_, logged = read_entries(run)
    errors = {logged[f"Error/Test/{label}"] for label in range(10)}
    assert len(errors) == 10
    assert min(errors) > 0


def test_the_page_about_loggers_is_followed(reader: Reader) -> None:
    reader.additions = ("trainer.max_epochs=1", "trainer.limit_train_batches=2")
    reader.follow(DOCS / "logger.md")
    for run in (reader.folder / "runs" / "DIGITS" / "VAE").iterdir():
        numbers = dict(line.split()[1:] for line in (run / "numbers.txt").read_text().splitlines())
        assert {"ELBO/Validation", "Train/loss"} <= set(numbers)
        (value,) = (entry["ELBO/Validation"] for entry in read_entries(run) if "ELBO/Validation" in entry)
        assert float(numbers["ELBO/Validation"]) == value


def test_the_page_about_configs_is_followed(reader: Reader) -> None:
    page = DOCS / "configs.md"
    reader.follow(page)
    assert "copied to my_config/experiment/my_DIGITS_VAE.yaml" in reader.output
    overrides = re.findall(r"^\| `([^`]+)` \|", page.read_text(), re.MULTILINE)[1:]
    assert len(overrides) == 7
    for override in overrides:
        reader.run(f"train --cfg job +experiment=DIGITS_VAE {override}")


@pytest.mark.slow
def test_the_search_of_the_page_about_searches_runs(reader: Reader) -> None:
    reader.additions = ("search.trials=2", "trainer.max_epochs=1", "trainer.limit_train_batches=1")
    page = DOCS / "search.md"
    write_files(page, reader.folder)
    (line,) = (block.text for block in read_blocks(page) if "train --search space.yaml" in block.text)
    reader.run(line.replace("\\\n", ""))
    assert (reader.folder / "runs" / "searches" / "space" / "report.html").is_file()


def test_the_prior_of_the_page_about_vq_vaes_is_without_a_mistake(reader: Reader, data_root: Path) -> None:
    write_files(DOCS / "methods" / "vqvae.md", reader.folder)
    data = f"device.data_root={data_root} device.download_files=false"
    short = (
        "trainer.max_epochs=1 trainer.limit_train_batches=1 params.batch_size=8 ~evaluation.reconstructions "
        "~evaluation.elbo_train evaluation.elbo_validation.evaluator.n_samples=10"
    )
    reader.run(f"train +experiment=MNIST_VQVAE logging=none {data} {short}")
    (run,) = (reader.folder / "runs" / "MNIST" / "VQVAE").iterdir()
    reader.run(f"train --check --config-dir=my_config +experiment=code_prior {data} model.autoencoder.run={run}")


def test_the_examples_of_the_readme_run(reader: Reader) -> None:
    for block in read_blocks(APP / "README.md"):
        if block.language == "python":
            exec(block.text, {})
    assert len(list(reader.folder.glob("my_runs/DIGITS/VAE/*/run.json"))) == 1


def list_trainings() -> list[str]:
    """List the commands of the pages and READMEs that train a shipped experiment."""
    pages = [workspace() / "README.md", APP / "README.md", *sorted(DOCS.rglob("*.md"))]
    pages.remove(DOCS / "results.md")  # tests/test_results.py has its rows
    blocks = (block.text.replace("\\\n", "") for page in pages for block in read_blocks(page) if not block.language)
    lines = (line.partition(" #")[0].strip() for text in blocks for line in text.splitlines())
    commands = {line.removeprefix("uv run ") for line in lines if re.match(r"(uv run )?train \+experiment=", line)}
    return sorted(commands)


def test_every_command_that_trains_a_shipped_experiment_composes(reader: Reader) -> None:
    shipped = {path.stem for path in (config_directory() / "experiment").glob("*.yaml")}
    commands = list_trainings()
    assert {name for line in commands for name in re.findall(r"\+experiment=(\w+)", line)} <= shipped
    changed = [line for line in commands if line.count("=") > 1 and "resume=" not in line]
    assert len(changed) > 20
    for line in changed:
        reader.run(line.replace("train ", "train --cfg job ", 1))
