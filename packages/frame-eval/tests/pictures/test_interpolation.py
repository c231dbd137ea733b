from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, TransformedDistribution, transforms

from frame_core import IMAGE_ENTRY, run_evaluation
from frame_core.testing import TinyModel, TinyOptimization, make_tiny_data
from frame_eval import InterpolationEvaluation

PADDING = 2
SIDE = 4


class MeanlessDecoderModel(TinyModel):
    def decode(self, z: Tensor) -> Distribution:
        return TransformedDistribution(super().decode(z), transforms.TanhTransform())


def cut(grid: Tensor) -> Tensor:
    """Cut a grid into its images, a tensor of shape (n_rows, n_columns, 3, SIDE, SIDE) with values in [0, 1]."""
    images = grid[:, PADDING:, PADDING:].unfold(1, SIDE, SIDE + PADDING).unfold(2, SIDE, SIDE + PADDING)
    return images.permute(1, 2, 0, 3, 4).float() / 255


def interpolate(n_data: int, n_rows: int, n_steps: int, model: TinyModel | None = None) -> Tensor:
    optimization = TinyOptimization(model=model or TinyModel(), data={"valid": make_tiny_data(n_data)})
    entry = run_evaluation(InterpolationEvaluation("valid", n_rows, n_steps), optimization)
    assert entry.data_type == IMAGE_ENTRY
    return cut(entry.value)


def stack(n_data: int) -> Tensor:
    return torch.stack([example["x"] for example in make_tiny_data(n_data)]).expand(-1, 3, -1, -1)


def assert_same_shades(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=0.6 / 255)  # rounding loses half a shade


@pytest.mark.parametrize(("n_rows", "n_steps"), [(1, 2), (3, 5), (6, 4)])
def test_originals_are_at_both_ends_next_to_their_reconstructions(n_rows: int, n_steps: int) -> None:
    images = interpolate(12, n_rows, n_steps)
    assert images.shape[:2] == (n_rows, n_steps + 2)
    x = stack(12)[torch.arange(2 * n_rows) * 12 // (2 * n_rows)]
    reconstructions = TinyModel().reconstruct({"x": x}).detach()
    assert_same_shades(images[:, 0], x[:n_rows])
    assert_same_shades(images[:, 1], reconstructions[:n_rows])
    assert_same_shades(images[:, -2], reconstructions[n_rows:])
    assert_same_shades(images[:, -1], x[n_rows:])


def test_images_in_between_are_equidistant() -> None:
    images = interpolate(12, 6, 5)  # the tiny model decodes a line to a line
    start, end = images[:, 1], images[:, 5]
    for step in range(5):
        torch.testing.assert_close(
            images[:, 1 + step], start + step / 4 * (end - start), rtol=0, atol=1.1 / 255
        )  # rounding loses half a shade of each of the three


@pytest.mark.parametrize(("n_data", "n_rows"), [(2, 1), (7, 3)])
def test_split_with_few_examples_has_few_rows(n_data: int, n_rows: int) -> None:
    assert interpolate(n_data, 8, 3).shape[:2] == (n_rows, 5)


def test_split_with_one_example_is_refused() -> None:
    with pytest.raises(ValueError, match="Split 'valid' of `data` needs at least 2 examples to interpolate, got 1"):
        interpolate(1, 8, 3)


def test_likelihood_without_a_mean_is_refused() -> None:
    with pytest.raises(TypeError, match="`decode` must return a distribution that has a mean, got Transformed"):
        interpolate(4, 2, 3, MeanlessDecoderModel())


def test_examples_that_are_not_images_are_refused() -> None:
    optimization = TinyOptimization(model=TinyModel(x_shape=(6,)), data={"valid": make_tiny_data(4, x_shape=(6,))})
    with pytest.raises(ValueError, match=r"with 1 or 3 channels, got shape \(6,\)"):
        run_evaluation(InterpolationEvaluation("valid"), optimization)


@pytest.mark.gpu
def test_images_are_moved_back_from_the_device_of_the_model() -> None:
    evaluation = InterpolationEvaluation("valid")
    expected = run_evaluation(evaluation, TinyOptimization()).value
    on_gpu = run_evaluation(evaluation, TinyOptimization(model=TinyModel().to("cuda"))).value
    assert (on_gpu.int() - expected.int()).abs().max() <= 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_rows": 0}, ValueError, "`n_rows` must be positive, got 0"),
        ({"n_rows": 2.0}, TypeError, r"`n_rows` must be an integer, got 2\.0"),
        ({"n_steps": 1}, ValueError, "`n_steps` must be at least 2, got 1"),
        ({"n_steps": "3"}, TypeError, "`n_steps` must be an integer, got '3'"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        InterpolationEvaluation("valid", **options)
