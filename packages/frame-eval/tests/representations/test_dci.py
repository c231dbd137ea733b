from math import log, sqrt

import pytest
import torch
from torch import Tensor

from frame_core import Delta, Model, run_evaluation
from frame_core.testing import TinyOptimization
from frame_eval import DCIEvaluation
from frame_eval.representations.dci import compute_concentration


class Identity(Model):
    def compute_loss(self, data, data_idx):
        raise NotImplementedError

    def encode(self, x: Tensor) -> Delta:
        return Delta(x, 1)


def make_factors(*n_values: int, n_examples: int = 400) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.stack([torch.randint(n, (n_examples,), generator=generator) for n in n_values], 1)


def compute_dci(x: Tensor, factors: Tensor) -> dict[str, float]:
    split = [{"x": row, "factors": factor} for row, factor in zip(x, factors)]
    return run_evaluation(DCIEvaluation("valid"), TinyOptimization(Identity(), {"valid": split})).value


def test_all_three_are_one_if_each_factor_is_a_dimension() -> None:
    factors = make_factors(2, 3, 5)
    dci = compute_dci(factors * torch.tensor([1.0, -3.0, 20.0]), factors)
    assert dci == pytest.approx({"disentanglement": 1, "completeness": 1, "informativeness": 1})


def test_a_factor_in_two_dimensions_is_disentangled_but_not_complete() -> None:
    # Two equal dimensions of three have half of the importance for the first factor each, as ties are broken at random.
    # Its completeness is 1 - log 2 / log 3.
    factors = make_factors(2, 2)
    dci = compute_dci(torch.cat([factors[:, :1], factors], 1).float(), factors)
    assert dci["disentanglement"] == pytest.approx(1)
    assert dci["completeness"] == pytest.approx((1 - log(2) / log(3) + 1) / 2, abs=0.03)
    assert dci["informativeness"] == 1


def test_a_rotation_by_45_degrees_entangles_two_factors() -> None:
    factors = make_factors(2, 2, n_examples=1000)
    z = factors - 0.5
    rotated = torch.stack([z[:, 0] + z[:, 1], z[:, 0] - z[:, 1]], 1) / sqrt(2)
    dci = compute_dci(rotated, factors)
    assert dci["informativeness"] == 1
    assert dci["disentanglement"] == pytest.approx(0, abs=0.05)
    assert dci["completeness"] == pytest.approx(0, abs=0.05)


def test_noise_is_important_for_no_factor_and_predicts_as_chance() -> None:
    factors = make_factors(2, 2, n_examples=1000)
    dci = compute_dci(torch.randn(1000, 4, generator=torch.Generator().manual_seed(1)), factors)
    assert dci["disentanglement"] == pytest.approx(0, abs=0.05)
    assert dci["completeness"] == pytest.approx(0, abs=0.05)
    assert dci["informativeness"] == pytest.approx(1 / 2, abs=4 * sqrt(1 / 4 / 1000))  # 500 tests of two factors


def test_a_collapsed_representation_has_neither_disentanglement_nor_completeness() -> None:
    dci = compute_dci(torch.zeros(400, 3), make_factors(2, 3))
    assert (dci["disentanglement"], dci["completeness"]) == (0, 0)


def test_the_concentration_is_the_weighted_mean_of_the_rows() -> None:
    assert compute_concentration(torch.eye(3)) == pytest.approx(1)
    assert compute_concentration(torch.ones(3, 4)) == pytest.approx(0, abs=1e-6)
    # a row of weight 3 with all in one column, a row of weight 1 with a quarter and three quarters, an empty row
    entropy = -(log(1 / 4) / 4 + 3 * log(3 / 4) / 4) / log(2)
    importances = torch.tensor([[3.0, 0.0], [0.25, 0.75], [0.0, 0.0]])
    assert compute_concentration(importances) == pytest.approx((3 + (1 - entropy)) / 4)


def test_one_factor_is_refused() -> None:
    with pytest.raises(ValueError, match="needs `factors` of two elements or more, got 1"):
        compute_dci(torch.randn(60, 3), make_factors(2, n_examples=60))
