from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from frame_core import IMAGE_ENTRY, ReconstructionModel, run_evaluation
from frame_core.testing import TinyModel, TinyOptimization, make_tiny_data
from frame_eval import ImageReconstructionEvaluation

PADDING = 2


class NegativeModel(ReconstructionModel):
    """Reconstructs an image as its negative, and stores the options of the call."""

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"loss": data["x"].mean()}

    def reconstruct(
        self, data: Mapping[str, Tensor], sample_latents: bool = False, sample_output: bool = False
    ) -> Tensor:
        self.options = {"sample_latents": sample_latents, "sample_output": sample_output}
        return 1 - data["x"]


class ExaggeratingModel(ReconstructionModel):
    """Returns values outside [0, 1]."""

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"loss": data["x"].mean()}

    def reconstruct(
        self, data: Mapping[str, Tensor], sample_latents: bool = False, sample_output: bool = False
    ) -> Tensor:
        return 10 * (data["x"] - 0.5)


def make_shaded_data(n_data: int) -> list[dict[str, Tensor]]:
    """Make images of one pixel, whose shade is the index of the example."""
    return [{"x": torch.full((1, 1, 1), index / 255)} for index in range(n_data)]


def cut(grid: Tensor, height: int, width: int) -> list[list[Tensor]]:
    """Cut a grid into the images of each of its rows."""
    tops = range(PADDING, grid.shape[1], height + PADDING)
    lefts = range(PADDING, grid.shape[2], width + PADDING)
    return [[grid[:, top : top + height, left : left + width] for left in lefts] for top in tops]


@pytest.mark.parametrize("n_channels", [1, 3])
def test_originals_are_above_and_reconstructions_below(n_channels: int) -> None:
    data_set = make_tiny_data(4, x_shape=(n_channels, 5, 6))
    optimization = TinyOptimization(model=NegativeModel(), data={"valid": data_set})
    entry = run_evaluation(ImageReconstructionEvaluation("valid", n_pictures=4), optimization)
    assert entry.data_type == IMAGE_ENTRY
    originals, reconstructions = cut(entry.value, 5, 6)
    assert len(originals) == len(reconstructions) == 4
    for example, original, reconstruction in zip(data_set, originals, reconstructions):
        x = example["x"].expand(3, 5, 6)
        assert torch.equal(original, (255 * x).round().byte())
        assert torch.equal(reconstruction, (255 * (1 - x)).round().byte())


@given(n_data=st.integers(1, 255), n_pictures=st.integers(1, 300))
def test_images_are_spread_evenly_over_the_split(n_data: int, n_pictures: int) -> None:
    optimization = TinyOptimization(model=NegativeModel(), data={"valid": make_shaded_data(n_data)})
    entry = run_evaluation(ImageReconstructionEvaluation("valid", n_pictures=n_pictures), optimization)
    originals, _ = cut(entry.value, 1, 1)
    indices = [int(original[0]) for original in originals]
    assert len(indices) == min(n_data, n_pictures)
    assert indices[0] == 0
    distances = {after - before for before, after in zip(indices, [*indices[1:], n_data])}
    assert min(distances) >= 1
    assert max(distances) - min(distances) <= 1


def test_values_outside_the_unit_interval_are_clamped() -> None:
    data = {"valid": [{"x": torch.full((1, 1, 1), value)} for value in (0.0, 0.5, 1.0)]}
    entry = run_evaluation(
        ImageReconstructionEvaluation("valid"), TinyOptimization(model=ExaggeratingModel(), data=data)
    )
    assert [int(image[0]) for image in cut(entry.value, 1, 1)[1]] == [0, 0, 255]


@pytest.mark.parametrize("sample_images", [False, True])
@pytest.mark.parametrize("sample_latents", [False, True])
def test_options_reach_the_model(sample_images: bool, sample_latents: bool) -> None:
    model = NegativeModel()
    evaluation = ImageReconstructionEvaluation("valid", sample_images=sample_images, sample_latents=sample_latents)
    run_evaluation(evaluation, TinyOptimization(model=model))
    assert model.options == {"sample_latents": sample_latents, "sample_output": sample_images}


@pytest.mark.gpu
def test_images_are_moved_to_the_device_of_the_model() -> None:
    evaluation = ImageReconstructionEvaluation("valid")
    expected = run_evaluation(evaluation, TinyOptimization()).value
    on_gpu = run_evaluation(evaluation, TinyOptimization(model=TinyModel().to("cuda"))).value
    assert (on_gpu.int() - expected.int()).abs().max() <= 1


@pytest.mark.parametrize(
    ("n_pictures", "error", "message"),
    [
        (0, ValueError, "`n_pictures` must be positive, got 0"),
        (-1, ValueError, "`n_pictures` must be positive, got -1"),
        (2.5, TypeError, r"`n_pictures` must be an integer, got 2\.5"),
    ],
)
def test_bad_number_of_images_is_refused(n_pictures: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ImageReconstructionEvaluation("valid", n_pictures=n_pictures)


@pytest.mark.parametrize("x_shape", [(16,), (4, 4), (2, 4, 4)])
def test_examples_that_are_not_images_are_refused(x_shape: tuple[int, ...]) -> None:
    optimization = TinyOptimization(model=NegativeModel(), data={"valid": make_tiny_data(4, x_shape=x_shape)})
    with pytest.raises(ValueError, match=r"\(channels, height, width\) with 1 or 3 channels"):
        run_evaluation(ImageReconstructionEvaluation("valid"), optimization)


def test_unknown_split_is_refused_and_the_splits_are_listed() -> None:
    with pytest.raises(ValueError, match="no split 'validation'; it has 'train', 'valid'"):
        run_evaluation(ImageReconstructionEvaluation("validation"), TinyOptimization())


def test_empty_split_is_refused() -> None:
    with pytest.raises(ValueError, match="Split 'valid' of `data` is empty"):
        run_evaluation(ImageReconstructionEvaluation("valid"), TinyOptimization(data={"valid": []}))
