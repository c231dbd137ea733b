import pytest
import torch
from torch import Tensor

from frame_core import Delta, Model, run_evaluation
from frame_core.testing import TinyOptimization
from frame_eval import FactorVAEScoreEvaluation


class Identity(Model):
    def compute_loss(self, data, data_idx):
        raise NotImplementedError

    def encode(self, x: Tensor) -> Delta:
        return Delta(x, 1)


def make_factors(n_examples: int = 1000) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.stack([torch.randint(n, (n_examples,), generator=generator) for n in (2, 3, 5, 4)], 1)


def compute_score(x: Tensor, factors: Tensor, **options: int) -> float:
    split = [{"x": row, "factors": factor} for row, factor in zip(x, factors)]
    evaluation = FactorVAEScoreEvaluation("valid", **{"n_votes": 400, "group_size": 32, **options})
    return float(run_evaluation(evaluation, TinyOptimization(Identity(), {"valid": split})).value)


def test_the_score_is_one_if_each_factor_has_dimensions_of_its_own() -> None:
    factors = make_factors()
    scaled = factors * torch.tensor([1.0, -3.0, 20.0, 7.0])
    assert compute_score(scaled, factors) == 1
    assert compute_score(torch.cat([scaled, scaled.exp()], 1), factors) == 1


def test_the_score_of_noise_is_that_of_chance() -> None:
    factors = make_factors()
    noise = torch.randn(len(factors), 6, generator=torch.Generator().manual_seed(1))
    # 800 test votes; the groups share examples, so that single dimensions are favored a little
    assert compute_score(noise, factors) == pytest.approx(1 / 4, abs=0.1)


def test_a_dimension_of_two_factors_earns_the_votes_of_one() -> None:
    # The third factor is not represented. When it is fixed, no dimension varies less, and the votes are as by chance.
    factors = make_factors()[:, :3]
    both = factors[:, :1] + 2.0 * factors[:, 1:2]
    score = compute_score(torch.cat([both, factors[:, 2:]], 1), factors)
    assert score == pytest.approx(2 / 3, abs=0.01)  # all votes of the third, and of one of the first two


def test_a_collapsed_dimension_has_no_vote() -> None:
    factors = make_factors()
    collapsed = 0.01 * torch.randn(len(factors), 1, generator=torch.Generator().manual_seed(1))
    assert compute_score(torch.cat([factors.float(), collapsed], 1), factors) == 1
    assert compute_score(collapsed, factors) == 0


@pytest.mark.parametrize("name", ["n_votes", "group_size"])
def test_fewer_than_two_votes_or_examples_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be at least 2, got 1"):
        FactorVAEScoreEvaluation("valid", **{name: 1})
