from typing import Any

import pytest
import torch
from torch import Tensor

from frame_core import IMAGE_ENTRY, run_evaluation
from frame_core.testing import TinyModel, TinyOptimization, make_tiny_data
from frame_eval import LatentTraversalEvaluation

PADDING = 2


def cut(grid: Tensor, side: int) -> Tensor:
    """Cut a grid into its images, a tensor of shape (n_rows, n_columns, 3, side, side) with values in [0, 1]."""
    images = grid[:, PADDING:, PADDING:].unfold(1, side, side + PADDING).unfold(2, side, side + PADDING)
    return images.permute(1, 2, 0, 3, 4).float() / 255


def test_each_row_changes_one_dimension_of_the_first_example() -> None:
    model, data = TinyModel((1, 2, 2)), make_tiny_data(3, (1, 2, 2))
    optimization = TinyOptimization(model, {"valid": data})
    entry = run_evaluation(LatentTraversalEvaluation("valid", n_steps=3, extent=0.25), optimization)
    assert entry.data_type == IMAGE_ENTRY
    images = cut(entry.value, side=2)
    assert images.shape[:2] == (4, 3)
    z = model.encode(data[0]["x"]).mean.detach().flatten()  # the tiny model decodes z to z + 0.5
    for row in range(4):
        for column, value in enumerate((-0.25, 0.0, 0.25)):
            expected = z.index_fill(0, torch.tensor(row), value) + 0.5
            actual = images[row, column, 0].flatten()
            torch.testing.assert_close(actual, expected.clamp(0, 1), rtol=0, atol=0.6 / 255)  # rounding


def test_examples_that_are_not_images_are_refused() -> None:
    optimization = TinyOptimization(TinyModel((6,)), {"valid": make_tiny_data(4, (6,))})
    with pytest.raises(ValueError, match=r"with 1 or 3 channels, got shape \(6,\)"):
        run_evaluation(LatentTraversalEvaluation("valid"), optimization)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_steps": 1}, ValueError, "`n_steps` must be at least 2, got 1"),
        ({"extent": -1.0}, ValueError, "`extent` must be positive"),
        ({"extent": "2"}, TypeError, "`extent` must be a number"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        LatentTraversalEvaluation("valid", **options)
