"""Contract of the evaluations of examples with known factors."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from frame_core import Model, check_requirements, run_evaluation
from frame_core.testing import TinyOptimization
from frame_eval import DCIEvaluation, FactorVAEScoreEvaluation, MutualInformationGapEvaluation, SAPEvaluation
from frame_eval.representations.factors import FactorEvaluation, split_in_half

EVALUATIONS = [
    DCIEvaluation("valid"),
    FactorVAEScoreEvaluation("valid", n_votes=50, group_size=8),
    MutualInformationGapEvaluation("valid"),
    SAPEvaluation("valid"),
]
COMPARISONS_OF_DIMENSIONS = [each for each in EVALUATIONS if not isinstance(each, FactorVAEScoreEvaluation)]
EVALUATIONS_OF_MEANS = [each for each in EVALUATIONS if not isinstance(each, MutualInformationGapEvaluation)]


class Encoder(Model):
    """q(z | x) = N(x, 1/100) in each dimension."""

    def compute_loss(self, data, data_idx):
        raise NotImplementedError

    def encode(self, x: Tensor) -> Distribution:
        return Independent(Normal(x, 0.1), 1)


def name_class(evaluation: FactorEvaluation) -> str:
    return type(evaluation).__name__


def make_optimization(x: Tensor, factors: Tensor) -> TinyOptimization:
    return TinyOptimization(
        Encoder(), {"valid": [{"x": row, "factors": factor} for row, factor in zip(x, factors, strict=True)]}
    )


def make_examples(n_dimensions: int = 3) -> tuple[Tensor, Tensor]:
    """Return 60 representations in which the first two dimensions are the factors."""
    factors = torch.stack([torch.arange(60) % 2, torch.arange(60) % 3], 1)
    noise = torch.randn(60, 1, generator=torch.Generator().manual_seed(0))
    return torch.cat([factors.float(), noise], 1)[:, :n_dimensions], factors


@pytest.mark.parametrize("evaluation", EVALUATIONS, ids=name_class)
@pytest.mark.parametrize(
    "example",
    [
        {},
        {"factors": torch.zeros(2)},
        {"factors": torch.tensor(3)},
        {"factors": torch.zeros(0, dtype=torch.long)},
        {"factors": torch.zeros(2, 2, dtype=torch.long)},
    ],
    ids=["none", "fractions", "one number", "no number", "a matrix"],
)
def test_a_split_without_factors_is_refused_before_the_training(
    evaluation: FactorEvaluation, example: dict[str, Tensor]
) -> None:
    optimization = TinyOptimization(Encoder(), {"valid": [{"x": torch.zeros(2), **example}]})
    with pytest.raises(ValueError, match="Split 'valid' of `data` has no factors: each example needs `factors`"):
        check_requirements(evaluation, optimization)


@pytest.mark.parametrize("evaluation", EVALUATIONS, ids=name_class)
def test_a_factor_with_one_value_or_with_a_value_for_each_example_is_refused(evaluation: FactorEvaluation) -> None:
    x, factors = make_examples()
    factors = torch.stack([torch.full((60,), 3), factors[:, 0], torch.arange(60)], 1)
    with pytest.raises(ValueError, match=r"fewer than there are examples, 60; factor 0 has 1, factor 2 has 60\. Leave"):
        run_evaluation(evaluation, make_optimization(x, factors))


@pytest.mark.parametrize("evaluation", EVALUATIONS, ids=name_class)
def test_a_value_of_one_example_is_no_obstacle(evaluation: FactorEvaluation) -> None:
    x, factors = make_examples()
    factors[:, 0] = torch.arange(60) == 7
    value = run_evaluation(evaluation, make_optimization(x, factors)).value
    assert all(0 <= float(number) <= 1 for number in (value.values() if isinstance(value, Mapping) else [value]))


@pytest.mark.parametrize("evaluation", EVALUATIONS, ids=name_class)
def test_only_the_order_of_the_values_of_a_factor_matters(evaluation: FactorEvaluation) -> None:
    x, factors = make_examples()
    expected = run_evaluation(evaluation, make_optimization(x, factors)).value
    renamed = run_evaluation(evaluation, make_optimization(x, 10**12 * factors - 5)).value
    assert renamed == expected


@pytest.mark.parametrize("evaluation", COMPARISONS_OF_DIMENSIONS, ids=name_class)
def test_a_representation_of_one_dimension_is_refused(evaluation: FactorEvaluation) -> None:
    name = type(evaluation).__name__
    with pytest.raises(ValueError, match=f"`{name}` needs a representation of two dimensions or more, got 1"):
        run_evaluation(evaluation, make_optimization(*make_examples(n_dimensions=1)))


@pytest.mark.parametrize("evaluation", EVALUATIONS_OF_MEANS, ids=name_class)
def test_a_representation_that_is_not_finite_is_refused(evaluation: FactorEvaluation) -> None:
    x, factors = make_examples()
    x[7, 0] = torch.inf
    with pytest.raises(ValueError, match="must return finite representations"):
        run_evaluation(evaluation, make_optimization(x, factors))


def test_the_halves_share_each_value_equally_and_the_first_has_every_value() -> None:
    factor = torch.tensor([0] * 6 + [1] * 5 + [2])
    fit, test = split_in_half(factor)
    assert torch.cat([fit, test]).sort().values.tolist() == list(range(12))
    assert factor[fit].bincount().tolist() == [3, 3, 1]
    assert factor[test].bincount().tolist() == [3, 2]


def test_the_halves_are_drawn_at_random() -> None:
    factor = torch.arange(100) % 2
    torch.manual_seed(0)
    assert split_in_half(factor)[0].tolist() != split_in_half(factor)[0].tolist()
