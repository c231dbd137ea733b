"""A user's flow matching."""

import pytest
import torch

from frame_core import get_split, iterate_batches
from frame_train import Result
from projects import Project


@pytest.fixture(scope="module")
def result(project: Project) -> Result:
    return project.train("data.train.n_data=20_000", "data.valid.n_data=2000")


def test_samples_are_nearer_to_the_data_than_noise(project: Project, result: Result) -> None:
    run = project.load(result)
    (batch,) = iterate_batches(get_split(run.data, "valid"), 2000)
    torch.manual_seed(0)
    samples, noise = run.model.sample(torch.Size([500])), torch.randn(500, 2)
    near, far = (torch.cdist(points, batch["x"]).min(1).values.mean() for points in (samples, noise))
    assert near < far / 3


def test_the_distance_falls_and_the_samples_are_plotted(project: Project, result: Result) -> None:
    distances = project.load(result).metrics["FrechetDistance/Validation"].dropna()
    assert distances.iloc[-1] < distances.iloc[0] < 1
    assert len(list((result.directory / "images").glob("Samples-*.png"))) == len(distances)
