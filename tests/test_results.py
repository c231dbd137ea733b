"""The table of results, its measurements, and the pages made of both."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from math import inf, log, sqrt
from pathlib import Path

import pytest
import torch
import yaml
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from frame_architectures import digits, mnist
from frame_core import EvaluationView, run_evaluation
from frame_eval import LinearProbeEvaluation, LossEvaluation, small_classifier
from frame_models import Classifier
from frame_train.composition.compose import compose_config
from frame_train.composition.settings import config_directory
from frame_train.data import CorrelatedGaussians, Digits
from results import __main__ as command
from results import classifiers, pages, runs
from results.baselines import Pixels, TrainingExamples, Truth
from results.measuring import measure
from results.pages import PAGE, README, format_estimate, format_page, get_picture, insert_table
from results.table import (
    Estimate,
    Measurement,
    Published,
    Row,
    is_of,
    read_measurements,
    read_rows,
    write_measurements,
)

ROWS = read_rows()
MEASUREMENTS = read_measurements()
ROW = Row(experiment="DIGITS_VAE", metric="ELBO/Validation", seeds=2, minutes=1.0, unit="nats")
MEASUREMENT = Measurement(
    arguments=ROW.arguments,
    values=[-10.0, -12.0],
    commits=["abc1234"],
    date="2026-01-31",
    machine="a processor, 2 cores",
    torch="2.15",
)
each_row = pytest.mark.parametrize("name", ROWS)


# The table


def test_every_shipped_experiment_has_a_row() -> None:
    shipped = {path.stem for path in (config_directory() / "experiment").glob("*.yaml")}
    assert {row.experiment for row in ROWS.values()} == shipped


@each_row
def test_a_row_has_three_seeds_or_five_if_a_run_takes_less_than_a_minute(name: str) -> None:
    assert ROWS[name].seeds >= (5 if ROWS[name].minutes < 1 else 3)


@cache
def list_logged(arguments: tuple[str, ...]) -> set[str]:
    """Return the names of the evaluations of a row; several rows have the same arguments."""
    try:
        config = compose_config(arguments)
    finally:
        GlobalHydra.instance().clear()
    return {str(OmegaConf.select(node, "name")) for node in config.evaluation.values()}


@each_row
def test_the_metric_and_the_picture_of_a_row_are_logged(name: str) -> None:
    row = ROWS[name]
    logged = list_logged(tuple(row.arguments))
    assert row.picture is None or row.picture in logged
    assert any(is_of(row.metric, name) for name in logged)


@each_row
def test_a_published_number_names_its_source_as_a_link(name: str) -> None:
    for number in (ROWS[name].paper, ROWS[name].implementation):
        assert number is None or re.fullmatch(r"\[[^]]+\]\(https://\S+\)", number.source)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A: {experiment: X, metric: Y, seeds: 3}", "minutes"),
        ("A: {experiment: X, metric: Y, seeds: 3, minutes: 1, overides: []}", "overides"),
        ("A: {experiment: X, metric: Y, seeds: three, minutes: 1}", "seeds"),
        ("A: {experiment: X, metric: Y, seeds: 3, minutes: 1, unit: dB}", "unit"),
    ],
)
def test_a_row_with_a_wrong_key_or_value_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "rows.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_rows(tmp_path)


def test_a_name_may_stand_in_one_file_only(tmp_path: Path) -> None:
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text("A: {experiment: X, metric: Y, seeds: 3, minutes: 1}")
    with pytest.raises(ValueError, match="got A twice"):
        read_rows(tmp_path)


@pytest.mark.parametrize("network", [digits.LabelClassifier([6, 5]), mnist.ConvLabelClassifier([3, 4], [6, 5])])
def test_a_small_classifier_predicts_as_the_model_whose_weights_were_saved(
    network: digits.LabelClassifier | mnist.ConvLabelClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (classifiers, small_classifier):
        monkeypatch.setattr(module, "FOLDER", tmp_path / "weights")
    name = classifiers.save_weights("Test", Classifier(network))
    x = torch.rand(5, *(digits if isinstance(network, digits.LabelClassifier) else mnist).INPUT_SHAPE)
    torch.testing.assert_close(small_classifier.load_classifier(name)(x).softmax(1), network(x).probs)


# Measurements


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_a_measurement_is_of_the_present_row_and_as_expected(name: str) -> None:
    row, measurement = ROWS[name], MEASUREMENTS[name]
    assert measurement.arguments == row.arguments
    assert len(measurement.values) == row.seeds
    assert row.expected is not None
    assert row.expects(measurement.estimate)
    assert (measurement.baseline is None) == (row.baseline is None)
    assert row.picture is None or get_picture(name).is_file()


def test_a_row_expects_a_number_only_if_it_was_measured() -> None:
    assert {name for name, row in ROWS.items() if row.expected is not None} == set(MEASUREMENTS)


def test_measurements_that_were_written_are_read(tmp_path: Path) -> None:
    path = tmp_path / "measured.yaml"
    assert read_measurements(path) == {}
    measurements = {"B": MEASUREMENT, "A": replace(MEASUREMENT, baseline=0.5)}
    write_measurements(measurements, path)
    assert read_measurements(path) == measurements
    assert list(yaml.safe_load(path.read_text())) == ["A", "B"]


# Comparison


def test_the_standard_error_is_that_of_a_mean() -> None:
    estimate = Estimate.of([1.0, 2.0, 6.0])  # deviations -2, -1, 3 from the mean 3
    assert estimate.mean == pytest.approx(3.0)
    assert estimate.standard_error == pytest.approx(sqrt((4 + 1 + 9) / 2 / 3))


@pytest.mark.parametrize(
    ("mean", "error", "distance"), [(5.0, 4.0, 1.0), (-5.0, 4.0, 1.0), (0.0, 0.0, 0.0), (50.0, 4.0, 10.0)]
)
def test_the_distance_is_in_standard_errors_of_the_difference(mean: float, error: float, distance: float) -> None:
    assert Estimate(0.0, 3.0).count_standard_errors(Estimate(mean, error)) == pytest.approx(distance)


def test_different_numbers_without_an_error_are_infinitely_far_apart() -> None:
    assert Estimate(0.0, 0.0).count_standard_errors(Estimate(1.0, 0.0)) == inf
    assert Estimate(1.0, 0.0).count_standard_errors(Estimate(1.0, 0.0)) == 0.0


def test_a_row_expects_what_is_within_its_tolerance() -> None:
    row = replace(ROW, expected=Estimate(0.0, 3.0), tolerance=2.0)
    assert row.expects(Estimate(9.9, 4.0))
    assert not row.expects(Estimate(10.1, 4.0))
    assert replace(row, expected=None).expects(Estimate(1000.0, 0.0))


# Pages


def test_the_page_is_made_of_the_table_and_its_measurements() -> None:
    assert PAGE.read_text(encoding="utf-8") == format_page(ROWS, MEASUREMENTS), "run `python -m results write`"


def test_the_readme_quotes_the_page() -> None:
    readme = README.read_text(encoding="utf-8")
    assert readme == insert_table(readme, ROWS, MEASUREMENTS), "run `python -m results write`"
    quoted = re.findall(r"^\| \[`\w+`\]\(docs/results\.md(.*)$", readme, re.MULTILINE)
    assert quoted
    page = PAGE.read_text(encoding="utf-8")
    assert {line for line in quoted if line not in page} == set()


@pytest.mark.parametrize(
    ("mean", "error", "unit", "text"),
    [
        (-103.9123, 0.31, "nats", "−103.9 ± 0.3 nats"),
        (-103.9123, 0.14, "nats", "−103.91 ± 0.14 nats"),
        (0.97812, 0.0004, "%", "97.81 ± 0.04 %"),
        (12345.6, 34.0, "", "12,346 ± 34"),
        (0.5, 0.0, "%", "50.00 ± 0.00 %"),
    ],
)
def test_an_estimate_has_the_digits_that_its_error_leaves(mean: float, error: float, unit: str, text: str) -> None:
    assert format_estimate(Estimate(mean, error), unit) == text


def test_the_page_says_what_was_measured_and_what_was_not() -> None:
    paper = Published("−10 nats", "[a paper](https://example.org)")
    row = replace(ROW, expected=Estimate(-11.0, 1.0), paper=paper, baseline="pixels")
    page = format_page({"A": row, "B": ROW}, {"A": replace(MEASUREMENT, baseline=-20.0)})
    link = "[`A`](#a)"
    assert f"| {link} | ELBO/Validation | −11.0 ± 1.0 nats; pixels: −20.0 nats | −10 nats ([a paper](https" in page
    assert "- ELBO/Validation of the seeds 0 to 1: −10.00, −12.00 nats\n" in page
    assert "- trained by commit `abc1234` on 2026-01-31\n- a processor, 2 cores, torch 2.15" in page
    assert "| [`B`](#b) | ELBO/Validation | not run |" in page


def test_the_page_shows_what_was_expected_if_that_is_something_else() -> None:
    page = format_page({"A": replace(ROW, expected=Estimate(-30.0, 1.0))}, {"A": MEASUREMENT})
    assert "−11.0 ± 1.0 nats, which is not the expected −30.0 ± 1.0 nats" in page


# Baselines


def test_a_probe_of_the_pixels_is_a_linear_classifier_of_them() -> None:
    splits = {split: Digits(split) for split in ("train", "valid")}
    evaluation = LinearProbeEvaluation("valid", n_train=10_000)
    value = run_evaluation(evaluation, EvaluationView(Pixels(), splits, {})).value
    (x, y), (x_valid, y_valid) = (
        (batch["x"].flatten(1).numpy(), batch["y"].numpy())
        for batch in (data_set.get_batch(torch.arange(len(data_set))) for data_set in splits.values())
    )
    oracle = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-8, max_iter=10_000)).fit(x, y)
    assert value == pytest.approx(oracle.score(x_valid, y_valid), abs=1.1 / 250)  # an example on the border


def test_samples_of_the_training_images_are_training_images() -> None:
    data_set = Digits("train")
    samples = TrainingExamples(data_set).sample(torch.Size([2, 10]))
    x = data_set.get_batch(torch.arange(len(data_set)))["x"]
    assert samples.shape == (2, 10, 1, 8, 8)
    assert all((x == image).flatten(1).all(1).any() for image in samples.flatten(0, 1))
    assert len(samples.flatten(0, 1).unique(dim=0)) > 15


# The command


def write_run(root: Path, arguments: Sequence[str], is_complete: bool = True, stamp: str = "2026-01-01") -> Path:
    directory = root / "DIGITS" / "VAE" / stamp
    directory.mkdir(parents=True)
    (directory / "run.json").write_text(json.dumps({"format": 1, "complete": is_complete}))
    (directory / "overrides.yaml").write_text(yaml.safe_dump([*arguments, "device.experiments_root=somewhere"]))
    return directory


def test_a_finished_run_is_found_by_its_arguments_and_seed(tmp_path: Path) -> None:
    row = replace(ROW, overrides=("trainer.max_epochs=1",))
    arguments = ["+experiment=DIGITS_VAE", "++trainer.max_epochs=1", "seed=1", "logging=none"]  # as `train` writes them
    write_run(tmp_path, arguments, is_complete=False, stamp="2026-01-02")
    assert runs.find_run(row, 1, tmp_path) is None
    directory = write_run(tmp_path, arguments)
    record = runs.find_run(row, 1, tmp_path)
    assert record is not None
    assert record.directory == directory
    assert runs.find_run(row, 0, tmp_path) is None
    assert runs.find_run(ROW, 1, tmp_path) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "DIGITS_VAEE"], "got 'DIGITS_VAEE'. Did you mean `DIGITS_VAE`?"),
        (["verify", "--data-root", "nowhere"], "--data-root must be a folder, got 'nowhere'"),
        (["verfy"], "invalid choice: 'verfy'"),
        ([], "required: command"),
    ],
)
def test_a_mistake_in_the_command_is_explained(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as error:
        command.main(arguments)
    assert error.value.code == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table of two rows, to which the command writes in place of the repository."""
    (tmp_path / "rows").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# Title\n<!-- results -->\n<!-- end of results -->\n")
    short = {"experiment": "DIGITS_Classifier", "overrides": ["trainer.max_epochs=1"], "seeds": 2, "minutes": 0.1}
    row = {**short, "metric": "Accuracy/Validation", "unit": "%", "expected": {"mean": 0.5, "standard_error": 0.1}}
    (tmp_path / "rows" / "rows.yaml").write_text(yaml.safe_dump({"SHORT": row, "LONG": {**row, "minutes": 100.0}}))
    measured = tmp_path / "measured.yaml"
    monkeypatch.setattr(command, "read_rows", lambda: read_rows(tmp_path / "rows"))
    monkeypatch.setattr(command, "read_measurements", lambda: read_measurements(measured))
    monkeypatch.setattr(command, "write_measurements", lambda content: write_measurements(content, measured))
    monkeypatch.setattr(pages, "PAGE", tmp_path / "docs" / "results.md")
    monkeypatch.setattr(pages, "README", tmp_path / "README.md")
    monkeypatch.setattr(pages, "_README_ROWS", ("SHORT",))
    return tmp_path


@pytest.mark.slow
def test_a_row_is_trained_once_measured_and_written_to_the_pages(
    table: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["verify", "--quick", "--runs", str(table / "runs")]
    code = command.main(arguments)
    (measurement,) = read_measurements(table / "measured.yaml").values()
    assert len(measurement.values) == 2
    assert code == (0 if read_rows(table / "rows")["SHORT"].expects(measurement.estimate) else 1)
    assert "SHORT: Accuracy/Validation" in capfd.readouterr().out
    assert f"| {format_estimate(measurement.estimate, '%')}" in (table / "docs" / "results.md").read_text()
    assert "[`SHORT`](docs/results.md#short)" in (table / "README.md").read_text()
    trained = sorted(path.name for path in (table / "runs").glob("*/*/*"))
    assert len(trained) == 2
    assert command.main(arguments) == code
    assert sorted(path.name for path in (table / "runs").glob("*/*/*")) == trained
    assert read_measurements(table / "measured.yaml") == {"SHORT": measurement}


@pytest.mark.slow
@pytest.mark.skipif("FRAME_DATA_ROOT" not in os.environ, reason="FRAME_DATA_ROOT names the folder of MNIST")
def test_rows_are_measured_beside_their_baselines(tmp_path: Path) -> None:
    few = ("trainer.max_epochs=1", "trainer.limit_train_batches=200")
    gan = replace(ROWS["MNIST_GAN"], seeds=2, overrides=few)
    probe = Row("MNIST_AE", "LinearProbe/Validation", 2, 1.0, few, baseline="pixels")
    rows = {"gan": gan, "probe": probe}
    measured = {name: measure(row, tmp_path, Path(os.environ["FRAME_DATA_ROOT"])) for name, row in rows.items()}
    distances, floor = measured["gan"][0].values, measured["gan"][0].baseline
    assert floor is not None
    assert 0 < floor < 0.1 * min(distances)
    picture = measured["gan"][1]
    assert picture is not None
    assert picture.name.startswith("Images_Samples-")
    pixels = measured["probe"][0].baseline
    assert pixels is not None
    assert 0.85 < pixels < 0.93


def test_the_truth_about_correlated_gaussians_is_the_closed_form() -> None:
    data = {"valid": CorrelatedGaussians(10, n_dimensions=3, correlation=0.5)}
    entry = run_evaluation(LossEvaluation("valid"), EvaluationView(Truth(data["valid"]), data, {}))
    assert entry.value["mutual_information"] == pytest.approx(-3 / 2 * log(1 - 0.25))


def test_a_signal_ends_the_training_and_keeps_the_rows_that_are_measured(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Training(subprocess.Popen[bytes]):
        def __init__(self, arguments: list[str]) -> None:
            super().__init__(["sh", "-c", "trap 'touch saved; exit 143' TERM; touch begun; while :; do sleep 1; done"])

        def wait(self, timeout: float | None = None) -> int:
            while not Path("begun").exists():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)
            return super().wait(timeout)

    short = Measurement(ROWS["DIGITS_VAE"].arguments, [0.4, 0.5], ["0123456"], "2026-01-01", "a processor", "2")
    monkeypatch.chdir(table)
    monkeypatch.setattr(runs.subprocess, "Popen", Training)
    monkeypatch.setattr(
        command, "measure", lambda row, *others: measure(row, *others) if row.minutes > 1 else (short, None)
    )
    with pytest.raises(SystemExit) as error:
        command.main(["verify", "SHORT", "LONG", "--runs", str(table / "runs")])
    assert error.value.code == 143
    assert read_measurements(table / "measured.yaml") == {"SHORT": short}
    assert (table / "saved").exists()


def test_a_training_that_fails_is_reported_and_nothing_is_written(
    table: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runs.sys, "executable", "false")
    assert command.main(["verify", "SHORT", "--runs", str(table / "runs")]) == 1
    errors = capfd.readouterr().err
    assert errors.startswith("error: SHORT: `train +experiment=DIGITS_Classifier trainer.max_epochs=1 seed=0 ")
    assert errors.endswith(" exited with code 1.\n")
    assert not (table / "measured.yaml").exists()
    assert not (table / "docs" / "results.md").exists()
