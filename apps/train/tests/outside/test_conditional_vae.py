"""A user's variational autoencoder of images given their labels."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import frame_train
from frame_core import get_split, iterate_batches
from frame_core.testing import check_model
from frame_train import Result
from projects import Project


@pytest.fixture(scope="module")
def result(project: Project) -> Result:
    return project.train(
        "evaluation.samples.evaluate_every=5 epochs", "evaluation.reconstructions.evaluate_every=5 epochs"
    )


def test_the_model_meets_the_contract(project: Project, result: Result) -> None:
    run = project.load(result)
    check_model(run.model.train(), next(iterate_batches(get_split(run.data, "valid"), 4)))


def test_images_of_each_class_are_nearest_to_its_mean(project: Project, result: Result) -> None:
    run = project.load(result)
    (batch,) = iterate_batches(get_split(run.data, "valid"), 250)
    means = torch.stack([batch["x"][batch["y"] == label].mean(0) for label in range(10)])
    torch.manual_seed(0)
    samples = run.model.sample(torch.Size([20]), y=torch.arange(10))
    assert samples.shape == (20, 10, 1, 8, 8)
    nearest = torch.cdist(samples.flatten(2), means.flatten(1)).argmin(-1)
    assert (nearest == torch.arange(10)).float().mean() > 0.9


def test_the_bounds_are_in_order_and_the_images_are_logged(result: Result) -> None:
    assert result.last["LogLikelihood/Validation"] > result.last["ELBO/Validation"] > -35
    names = {path.stem.partition("-")[0] for path in (result.directory / "images").iterdir()}
    assert names == {"Images_Reconstructions", "Images_Samples"}


def test_the_run_is_resumed_and_evaluated(project: Project, result: Result, evaluate: Callable[..., Any]) -> None:
    longer = frame_train.train([f"resume={result.directory}", "trainer.max_epochs=11"])
    assert longer.last["ELBO/Train"] > result.last["ELBO/Train"]
    again = evaluate(f"run={result.directory}", "allow=[conditional_vae]", "evaluation.elbo_train.name=Again")
    assert again.code == 0, again
    assert project.load(longer).metrics["Again"].dropna().item() == longer.last["ELBO/Train"]
