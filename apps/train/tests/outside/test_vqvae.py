"""A user's vector-quantized autoencoder."""

import pytest
import torch

from frame_core import get_split, iterate_batches
from frame_train import CompositionError, Result, load_run
from projects import Project

N_CODES = 16


@pytest.fixture(scope="module")
def result(project: Project) -> Result:
    return project.train()


def test_codes_are_nearest_and_most_are_used(project: Project, result: Result) -> None:
    model = project.load(result).model
    (batch,) = iterate_batches(get_split(project.load(result).data, "valid"), 250)
    z = model.encode_continuous(batch["x"])
    codes = model.find_codes(z)
    assert codes.shape == (250, 8)
    assert codes.min() >= 0
    assert codes.max() < N_CODES
    assert len(codes.unique()) > N_CODES / 2
    distances = (z[:, :, None] - model.codebook).square().sum(-1)
    assert torch.equal(codes, distances.argmin(-1))


def test_the_representation_and_the_reconstruction_improve(project: Project, result: Result) -> None:
    metrics = project.load(result).metrics["Loss/Validation/reconstruction"].dropna()
    assert metrics.iloc[-1] < metrics.iloc[0]
    assert result.last["LinearProbe/Validation"] > 0.3  # 0.1 by chance
    assert (result.directory / "images").is_dir()


def test_the_names_that_a_reader_of_the_run_must_allow_are_listed_at_once(result: Result) -> None:
    with pytest.raises(CompositionError, match=r"`allow=\[vqvae.VectorQuantizedAutoencoder, vqvae.CodeHistogram\]`"):
        load_run(result.directory)


def test_the_gradient_passes_the_codes_straight_through(project: Project, result: Result) -> None:
    model = project.load(result).model
    x = torch.rand(4, 1, 8, 8)
    model.compute_loss({"x": x}, 0)["loss"].backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())
