"""A user's contrastive learning."""

import math

import pytest

from frame_train import Result
from projects import Project


@pytest.fixture(scope="module")
def result(project: Project) -> Result:
    return project.train()


def test_the_loss_falls_below_chance(project: Project, result: Result) -> None:
    losses = project.load(result).metrics["Train/loss"].dropna()
    assert losses.iloc[-1] < math.log(2 * 128 - 1) - 0.5


def test_the_representation_separates_the_labels(result: Result) -> None:
    assert result.last["LinearProbe/Validation"] > 0.8
