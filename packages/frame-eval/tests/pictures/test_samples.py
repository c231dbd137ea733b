from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from frame_core import IMAGE_ENTRY, GenerativeModel, check_requirements, run_evaluation
from frame_core.testing import TinyModel, TinyOptimization
from frame_eval import ImageSampleEvaluation

PADDING = 2


class ShadeModel(GenerativeModel):
    """Generates images of one pixel, each one shade brighter than the last, starting at an offset."""

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"loss": data["x"].mean()}

    def sample(
        self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False, offset: float = 0.0
    ) -> Tensor:
        return offset + torch.arange(sample_shape.numel()).reshape(*sample_shape, 1, 1, 1) / 255


@given(n_pictures=st.integers(2, 255))
def test_grid_is_as_close_to_square_as_possible(n_pictures: int) -> None:
    entry = run_evaluation(ImageSampleEvaluation(n_pictures), TinyOptimization(model=ShadeModel()))
    assert entry.data_type == IMAGE_ENTRY
    shades = entry.value[0, PADDING :: 1 + PADDING, PADDING :: 1 + PADDING]
    n_rows, n_columns = shades.shape
    assert shades.flatten()[:n_pictures].tolist() == list(range(n_pictures))
    assert 0 <= n_columns - n_rows <= 1
    assert 0 <= n_rows * n_columns - n_pictures < n_columns  # no row is empty


def test_one_image_is_logged_without_padding() -> None:
    entry = run_evaluation(ImageSampleEvaluation(1), TinyOptimization(model=ShadeModel()))
    assert torch.equal(entry.value, torch.zeros(3, 1, 1, dtype=torch.uint8))


def test_params_reach_the_model_and_values_are_clamped() -> None:
    evaluation = ImageSampleEvaluation(4, offset=253 / 255)
    entry = run_evaluation(evaluation, TinyOptimization(model=ShadeModel()))
    shades = entry.value[0, PADDING :: 1 + PADDING, PADDING :: 1 + PADDING]
    assert shades.flatten().tolist() == [253, 254, 255, 255]


def test_every_evaluation_uses_the_same_latents() -> None:
    optimization = TinyOptimization()
    evaluation = ImageSampleEvaluation(9)
    first = run_evaluation(evaluation, optimization).value
    torch.randn(5)
    assert torch.equal(run_evaluation(evaluation, optimization).value, first)


def test_unknown_param_is_named() -> None:
    evaluation = ImageSampleEvaluation(4, sample_outptu=True)
    expected = (
        r"`ImageSampleEvaluation` has no argument `sample_outptu`\. It has `n_pictures`, `evaluate_on` and the "
        r"parameters of `TinyModel\.sample`: `sample_output`\. Did you mean `sample_output`\?"
    )
    with pytest.raises(TypeError, match=expected):
        check_requirements(evaluation, TinyOptimization())


def test_any_param_is_accepted_for_a_model_with_keyword_arguments() -> None:
    class Obliging(TinyModel):
        def sample(
            self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False, **others: Any
        ) -> Tensor:
            return super().sample(sample_shape, sample_output)

    check_requirements(ImageSampleEvaluation(4, temperature=2), TinyOptimization(Obliging()))


def test_the_shape_is_no_argument() -> None:
    with pytest.raises(TypeError, match="`ImageSampleEvaluation` has no argument `sample_shape`"):
        check_requirements(ImageSampleEvaluation(4, sample_shape=[2]), TinyOptimization())


def test_a_split_is_not_needed_and_may_be_named() -> None:
    without, with_split = (ImageSampleEvaluation(4, evaluate_on=split) for split in (None, "valid"))
    expected = run_evaluation(without, TinyOptimization()).value
    assert torch.equal(run_evaluation(with_split, TinyOptimization()).value, expected)
    with pytest.raises(ValueError, match="no split 'vaild'"):
        run_evaluation(ImageSampleEvaluation(4, evaluate_on="vaild"), TinyOptimization())


@pytest.mark.gpu
def test_images_are_moved_back_from_the_device_of_the_model() -> None:
    entry = run_evaluation(ImageSampleEvaluation(9), TinyOptimization(model=TinyModel().to("cuda")))
    assert entry.value.device.type == "cpu"


@pytest.mark.parametrize(
    ("n_pictures", "error", "message"),
    [
        (0, ValueError, "`n_pictures` must be positive, got 0"),
        (-1, ValueError, "`n_pictures` must be positive, got -1"),
        ("9", TypeError, "`n_pictures` must be an integer, got '9'"),
    ],
)
def test_bad_number_of_images_is_refused(n_pictures: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ImageSampleEvaluation(n_pictures)


def test_samples_that_are_not_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"with 1 or 3 channels, got shape \(6,\)"):
        run_evaluation(ImageSampleEvaluation(4), TinyOptimization(model=TinyModel(x_shape=(6,))))
