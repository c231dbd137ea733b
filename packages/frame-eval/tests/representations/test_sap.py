from math import sqrt

import pytest
import torch
from torch import Tensor

from frame_core import Delta, Model, run_evaluation
from frame_core.testing import TinyOptimization
from frame_eval import SAPEvaluation


class Identity(Model):
    def compute_loss(self, data, data_idx):
        raise NotImplementedError

    def encode(self, x: Tensor) -> Delta:
        return Delta(x, 1)


def make_factors(*n_values: int, n_examples: int = 400) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.stack([torch.randint(n, (n_examples,), generator=generator) for n in n_values], 1)


def compute_sap(x: Tensor, factors: Tensor) -> float:
    split = [{"x": row, "factors": factor} for row, factor in zip(x, factors)]
    return float(run_evaluation(SAPEvaluation("valid"), TinyOptimization(Identity(), {"valid": split})).value)


def test_a_dimension_for_each_binary_factor_predicts_it_and_the_others_are_at_chance() -> None:
    factors = make_factors(2, 2, n_examples=2000)
    # the accuracy of chance is that on 1,000 examples, of two values with equal weights
    assert compute_sap(10 * factors - 5.0, factors) == pytest.approx(1 - 1 / 2, abs=4 * sqrt(1 / 4 / 1000))


def test_two_equal_dimensions_are_not_separated() -> None:
    factors = make_factors(2, 3)
    assert compute_sap(torch.cat([factors, factors], 1).float(), factors) == 0


def test_a_rotation_by_45_degrees_separates_nothing() -> None:
    # Of two binary factors, z_1 = a + b and z_2 = a - b are 0 in half of the examples. Each tells either factor in the
    # other half, so that both have an accuracy of 3/4.
    factors = make_factors(2, 2, n_examples=2000)
    z = 20 * (factors - 0.5)
    rotated = torch.stack([z[:, 0] + z[:, 1], z[:, 0] - z[:, 1]], 1)
    assert compute_sap(rotated, factors) == pytest.approx(0, abs=4 * sqrt(2 * 3 / 16 / 1000))


def test_noise_separates_nothing() -> None:
    factors = make_factors(2, 3, n_examples=2000)
    noise = torch.randn(2000, 3, generator=torch.Generator().manual_seed(1))
    assert compute_sap(noise, factors) == pytest.approx(0, abs=4 * sqrt(2 * 1 / 4 / 1000))
