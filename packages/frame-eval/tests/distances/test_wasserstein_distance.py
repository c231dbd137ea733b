from itertools import permutations

import pytest
import torch
from torch import Tensor

from frame_core import run_evaluation
from frame_core.testing import TinyConditionalModel, TinyModel, TinyOptimization, check_evaluation
from frame_eval import WassersteinDistanceEvaluation
from frame_eval.distances.wasserstein_distance import compute_wasserstein_distance


def test_the_distance_is_the_best_of_all_pairings() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(2, 6, 3)
    costs = [(first - second[list(order)]).square().sum(1).mean().item() for order in permutations(range(6))]
    assert compute_wasserstein_distance(first, second) == pytest.approx(min(costs))


def test_the_distance_of_a_shifted_set_is_the_squared_shift() -> None:
    x = torch.randn(50, 2)
    assert compute_wasserstein_distance(x, x.flip(0) + torch.tensor([3.0, -4.0])) == pytest.approx(25, rel=1e-5)


def test_the_distance_in_one_dimension_is_that_of_the_sorted_values() -> None:
    first, second = torch.randn(2, 100, 1)
    expected = (first.sort(0).values - second.sort(0).values).square().mean().item()
    assert compute_wasserstein_distance(first, second) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("n_samples", [5, 1000])
def test_the_evaluation_satisfies_the_contract(n_samples: int) -> None:
    check_evaluation(WassersteinDistanceEvaluation("valid", n_samples), TinyOptimization())


def test_a_conditional_model_is_given_the_conditions_of_the_real_examples() -> None:
    model = TinyConditionalModel(n_labels=3)
    model.shifts.data = 100 * torch.arange(3.0).view(3, 1, 1, 1).repeat(1, 1, 4, 4)  # far apart, unlike the noise
    data = [{"x": model.shifts[y].detach(), "y": torch.tensor(y)} for y in (0, 0, 0, 1, 2, 2)]
    distance = run_evaluation(WassersteinDistanceEvaluation("valid"), TinyOptimization(model, {"valid": data})).value
    assert distance < 100


class Diverging(TinyModel):
    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        return torch.full((*sample_shape, *self.x_shape), torch.nan)


def test_samples_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`Diverging.sample` must return finite numbers .*, got NaN or infinity"):
        WassersteinDistanceEvaluation("valid").evaluate(TinyOptimization(Diverging()))
