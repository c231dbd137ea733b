"""A user's autoencoder of sentences, which are padded to the longest of a batch."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.functional import pad

from frame_core import get_split, iterate_batches
from frame_train import Result
from projects import Project

WORDS = (
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
    ["null", "eins", "zwei", "drei", "vier", "fuenf", "sechs", "sieben", "acht", "neun"],
)


@pytest.fixture(scope="module")
def path(project: Project) -> str:
    """The override that names a file of numbers in English and in German."""
    lines = []
    for index in range(400):
        digits = str(index * 7919 % 1000)
        lines.append(f"{index % 2}\t{' '.join(WORDS[index % 2][int(digit)] for digit in digits)}\n")
    (project.folder / "lines.txt").write_text("".join(lines))
    return f"params.path={project.folder / 'lines.txt'}"


@pytest.fixture(scope="module")
def results(project: Project, path: str) -> list[Result]:
    """The result without and with data-loading workers."""
    return [project.train(path, f"device.num_workers={number}") for number in (0, 2)]


def test_training_and_evaluations_are_equal_with_and_without_workers(results: list[Result]) -> None:
    alone, helped = results
    assert alone.last == helped.last
    assert alone.last["LinearProbe/Validation"] > 0.7


def test_the_bound_does_not_depend_on_the_padding(project: Project, results: list[Result]) -> None:
    run = project.load(results[0])
    (batch,) = iterate_batches(get_split(run.data, "valid"), 80)
    assert len(batch["length"].unique()) > 5
    terms = []
    for length in (0, 7):
        torch.manual_seed(0)
        terms.append(run.model.compute_loss_components({**batch, "x": pad(batch["x"], (0, length))}))
    torch.testing.assert_close(terms[0], terms[1])


def test_the_weight_of_the_regularization_warms_up(project: Project, results: list[Result]) -> None:
    betas = project.load(results[0]).metrics["Train/beta"].dropna()
    assert 0.0 < betas.iloc[-1] < 1.0
    assert project.load(results[0]).model.beta.value.item() == 1.0


@pytest.mark.parametrize("index", [0, 1])
def test_a_stored_run_is_evaluated_to_the_same_numbers(
    project: Project, results: list[Result], evaluate: Callable[..., Any], index: int
) -> None:
    result = results[index]
    again = evaluate(f"run={result.directory}", "allow=[sentences]", "evaluation.elbo_validation.name=Again")
    assert again.code == 0, again
    metrics = project.load(result).metrics
    assert metrics["Again"].dropna().item() == result.last["ELBO/Validation"]
    assert list(metrics["LinearProbe/Validation"].dropna()) == 2 * [result.last["LinearProbe/Validation"]]
