from typing import Any

import pytest
import torch
from torch import Tensor

from frame_core import Delta, Model, run_evaluation
from frame_core.testing import TinyOptimization
from frame_eval import ActiveUnitsEvaluation


class Identity(Model):
    def compute_loss(self, data, data_idx):
        raise NotImplementedError

    def encode(self, x: Tensor) -> Delta:
        return Delta(x, 1)


def count(x: Tensor, **options: Any) -> int:
    optimization = TinyOptimization(Identity(), {"valid": [{"x": row} for row in x]})
    return int(run_evaluation(ActiveUnitsEvaluation("valid", **options), optimization).value)


def test_dimensions_are_counted_whose_mean_has_more_variance_than_the_threshold() -> None:
    # -s, s: a variance of s^2, here 0, 0.0081, 0.0121, 0.25 and 25
    x = torch.tensor([[-1.0], [1.0]]) * torch.tensor([0.0, 0.09, 0.11, 0.5, 5.0]) + 3
    assert count(x) == 3
    assert count(x, threshold=0.005) == 4
    assert count(x, threshold=1.0) == 1


def test_a_threshold_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="`threshold` must be positive"):
        ActiveUnitsEvaluation("valid", threshold=0.0)
