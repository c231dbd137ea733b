"""Every distribution of the package, held to the contract of its interface."""

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

import frame_architectures
from frame_architectures import DiagonalNormal, Flatten, StochasticLinear, digits, mnist
from frame_core import ConditionalDistribution, MarginalDistribution
from frame_core.testing import check_conditional_distribution, check_marginal_distribution

CONDITIONALS: dict[type[ConditionalDistribution], tuple[dict[str, Any], tuple[int, ...], tuple[int, ...]]] = {
    # class: its arguments, the shape of its condition, the shape of its event
    StochasticLinear: ({"in_features": 3, "out_features": (2, 5), "distribution": "Normal"}, (3,), (2, 5)),
    mnist.Encoder: ({"z_dim": 3, "layers": [16, 8]}, mnist.INPUT_SHAPE, (3,)),
    mnist.Decoder: ({"z_dim": 3, "layers": [8, 16]}, (3,), mnist.INPUT_SHAPE),
    digits.Encoder: ({"z_dim": 3, "layers": [16, 8]}, digits.INPUT_SHAPE, (3,)),
    digits.Decoder: ({"z_dim": 3, "layers": [8, 16]}, (3,), digits.INPUT_SHAPE),
}
MARGINALS: dict[type[MarginalDistribution], tuple[dict[str, Any], tuple[int, ...]]] = {
    # class: its arguments, the shape of its event
    DiagonalNormal: ({"z_dim": 3}, (3,)),
}
LAYERS: set[type[nn.Module]] = {Flatten}


def iterate_public_classes(module: ModuleType) -> Iterator[type]:
    for value in (getattr(module, name) for name in module.__all__):
        if inspect.isclass(value):
            yield value
        elif inspect.ismodule(value):
            yield from iterate_public_classes(value)


def get_name(public_class: type) -> str:
    return f"{public_class.__module__}.{public_class.__name__}"


def test_every_public_class_is_held_to_a_contract() -> None:
    assert set(iterate_public_classes(frame_architectures)) == {*CONDITIONALS, *MARGINALS, *LAYERS}


@pytest.mark.parametrize("conditional", CONDITIONALS, ids=get_name)
def test_conditional_distribution_keeps_the_contract(conditional: type[ConditionalDistribution]) -> None:
    arguments, condition_shape, event_shape = CONDITIONALS[conditional]
    check_conditional_distribution(conditional(**arguments), torch.rand(4, *condition_shape), event_shape=event_shape)


@pytest.mark.parametrize("conditional", CONDITIONALS, ids=get_name)
def test_conditional_distribution_runs_on_the_meta_device(conditional: type[ConditionalDistribution]) -> None:
    arguments, condition_shape, event_shape = CONDITIONALS[conditional]
    with torch.device("meta"):  # where to ask for a value, as a GPU is made to wait for it, raises
        distribution = conditional(**arguments)(torch.empty(4, *condition_shape))
        assert distribution.log_prob(torch.empty(4, *event_shape)).shape == (4,)


@pytest.mark.parametrize("name", ["Normal", "Laplace", "Bernoulli", "ContinuousBernoulli"])
def test_stochastic_layer_keeps_the_contract(name: str) -> None:
    check_conditional_distribution(StochasticLinear(3, (2, 5), name), torch.randn(4, 3), event_shape=(2, 5))


@pytest.mark.parametrize(("out_features", "event_shape"), [(5, ()), ((2, 5), (2,))])
def test_stochastic_layer_to_labels_keeps_the_contract(
    out_features: int | tuple[int, ...], event_shape: tuple[int, ...]
) -> None:
    check_conditional_distribution(
        StochasticLinear(3, out_features, "Categorical"), torch.randn(4, 3), event_shape=event_shape
    )


@pytest.mark.parametrize("marginal", MARGINALS, ids=get_name)
def test_marginal_distribution_keeps_the_contract(marginal: type[MarginalDistribution]) -> None:
    arguments, event_shape = MARGINALS[marginal]
    check_marginal_distribution(marginal(**arguments), event_shape=event_shape)
