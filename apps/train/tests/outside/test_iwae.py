"""A user's importance-weighted autoencoder."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import frame_train
from frame_core import get_split, iterate_batches
from frame_train import Result
from projects import Project


@pytest.fixture(scope="module")
def result(project: Project) -> Result:
    return project.train()


def test_the_bound_is_at_least_the_elbo(result: Result) -> None:
    assert result.status == "complete"
    assert result.last["LogLikelihood/Validation"] > result.last["ELBO/Validation"] > -44.4  # of even pixels


def test_the_bound_rises_with_the_number_of_samples(project: Project, result: Result) -> None:
    run = project.load(result)
    (batch,) = iterate_batches(get_split(run.data, "valid"), 250)
    losses = []
    for run.model.n_samples in (1, 10, 100):
        torch.manual_seed(0)
        losses.append(run.model.compute_loss(batch, 0)["loss"].item())
    assert losses[0] == pytest.approx(-result.last["ELBO/Validation"], abs=0.3)  # one sample: the ELBO
    assert losses[0] > losses[1] > losses[2]


def test_the_run_is_resumed_and_evaluated(project: Project, result: Result, evaluate: Callable[..., Any]) -> None:
    longer = frame_train.train([f"resume={result.directory}", "trainer.max_epochs=5"])
    assert longer.best["LogLikelihood/Validation"] > result.best["LogLikelihood/Validation"]
    again = evaluate(f"run={result.directory}", "allow=[iwae]", "evaluation.log_likelihood.name=Again")
    assert again.code == 0, again
    assert project.load(longer).metrics["Again"].dropna().item() == longer.last["LogLikelihood/Validation"]
