"""Checks of every public class of the package against the contract of its interface."""

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import Distribution

import frame_architectures
from frame_architectures import (
    AnyBatch,
    BilinearCritic,
    Codebook,
    DiagonalNormal,
    Flatten,
    Flow,
    LatentDiscriminator,
    LogitDensity,
    MixtureOfGaussians,
    PairCritic,
    PixelCNN,
    Rescale,
    RingOfGaussians,
    SeparableCritic,
    StochasticLinear,
    UniformCategorical,
    VampPrior,
    VectorField,
    digits,
    mnist,
)
from frame_architectures.mlp import LIKELIHOODS
from frame_core import ConditionalDistribution, MarginalDistribution
from frame_core.testing import check_conditional_distribution, check_marginal_distribution

CONDITIONALS: dict[type[ConditionalDistribution], tuple[dict[str, Any], tuple[int, ...], tuple[int, ...]]] = {
    # class: its arguments, the shape of its condition, the shape of its event
    StochasticLinear: ({"in_features": 3, "out_features": (2, 5), "distribution": "Normal"}, (3,), (2, 5)),
    mnist.Encoder: ({"z_dim": 3, "layers": [16, 8]}, mnist.INPUT_SHAPE, (3,)),
    mnist.Decoder: ({"z_dim": 3, "layers": [8, 16]}, (3,), mnist.INPUT_SHAPE),
    mnist.ConvEncoder: ({"z_dim": 3, "channels": [4, 5]}, mnist.INPUT_SHAPE, (3,)),
    mnist.ConvDecoder: ({"z_dim": 3, "channels": [5, 4]}, (3,), mnist.INPUT_SHAPE),
    mnist.GridEncoder: ({"code_dim": 3, "channels": [4, 5]}, mnist.INPUT_SHAPE, (7, 7, 3)),
    mnist.GridDecoder: ({"code_dim": 3, "channels": [5, 4]}, (7, 7, 3), mnist.INPUT_SHAPE),
    mnist.LabelPredictor: ({"z_dim": 3, "layers": [8]}, (3,), ()),
    mnist.LabelClassifier: ({"layers": [8]}, mnist.INPUT_SHAPE, ()),
    mnist.ConvLabelClassifier: ({"channels": [4, 5], "layers": [8]}, mnist.INPUT_SHAPE, ()),
    mnist.ConvGenerator: ({"z_dim": 3, "channels": [5, 4]}, (3,), mnist.INPUT_SHAPE),
    digits.ConvGenerator: ({"z_dim": 3, "channels": [5, 4]}, (3,), digits.INPUT_SHAPE),
    mnist.Generator: ({"z_dim": 3, "layers": [8, 16]}, (3,), mnist.INPUT_SHAPE),
    digits.Encoder: ({"z_dim": 3, "layers": [16, 8]}, digits.INPUT_SHAPE, (3,)),
    digits.Decoder: ({"z_dim": 3, "layers": [8, 16]}, (3,), digits.INPUT_SHAPE),
    digits.LabelPredictor: ({"z_dim": 3, "layers": [8]}, (3,), ()),
    digits.LabelClassifier: ({"layers": [8]}, digits.INPUT_SHAPE, ()),
}
GIVEN_LABELS: dict[type[ConditionalDistribution], tuple[dict[str, Any], tuple[int, ...], tuple[int, ...]]] = {
    # class: its arguments, the shape of its condition other than the label, the shape of its event
    mnist.ConditionalEncoder: ({"z_dim": 3, "layers": [16, 8]}, mnist.INPUT_SHAPE, (3,)),
    digits.ConditionalEncoder: ({"z_dim": 3, "layers": [16, 8]}, digits.INPUT_SHAPE, (3,)),
    digits.ConditionalDecoder: ({"z_dim": 3, "layers": [8, 16]}, (3,), digits.INPUT_SHAPE),
    mnist.ConditionalDecoder: ({"z_dim": 3, "layers": [8, 16]}, (3,), mnist.INPUT_SHAPE),
}
FROM_LABELS: dict[type[ConditionalDistribution], tuple[dict[str, Any], tuple[int, ...]]] = {
    # class: its arguments, the shape of its event
    digits.LabelEncoder: ({"z_dim": 3}, (3,)),
}
MARGINALS: dict[type[MarginalDistribution], tuple[dict[str, Any], tuple[int, ...]]] = {
    # class: its arguments, the shape of its event
    DiagonalNormal: ({"z_dim": 3}, (3,)),
    UniformCategorical: ({"n_latents": 3, "n_categories": 2}, (3, 2)),
    RingOfGaussians: ({"n_components": 8, "radius": 5.0, "scale": 0.3}, (2,)),
    PixelCNN: ({"grid_shape": (3, 2), "n_codes": 4, "channels": 5, "n_layers": 2}, (3, 2)),
    MixtureOfGaussians: ({"z_dim": 3, "n_components": 4}, (3,)),
    VampPrior: (
        {"encoder": digits.Encoder(3, [8]), "x_shape": digits.INPUT_SHAPE, "n_components": 4},
        (3,),
    ),
    Flow: ({"z_dim": 3, "n_transforms": 2, "layers": [8]}, (3,)),
    LogitDensity: ({"density": MixtureOfGaussians(6, 2), "x_shape": (2, 3)}, (2, 3)),
}
LAYERS: set[type[nn.Module]] = {AnyBatch, Codebook, Flatten, Rescale, VectorField}
SCORES: dict[type[nn.Module], tuple[dict[str, Any], list[tuple[int, ...]]]] = {
    # class: its arguments, the shapes of its inputs
    BilinearCritic: ({"z_dim": 3}, [(3,), (3,)]),
    LatentDiscriminator: ({"z_dim": 3, "layers": [8]}, [(3,)]),
    PairCritic: ({"z_dim": 3, "layers": [8]}, [(3,), (3,)]),
    SeparableCritic: ({"z_dim": 3, "layers": [8], "n_features": 5}, [(3,), (3,)]),
    mnist.ConvDiscriminator: ({"channels": [4, 5], "normalization": "spectral"}, [mnist.INPUT_SHAPE]),
    digits.ConvDiscriminator: ({"channels": [4, 5], "normalization": "spectral"}, [digits.INPUT_SHAPE]),
    mnist.Discriminator: ({"layers": [8]}, [mnist.INPUT_SHAPE]),
}


def iterate_public_classes(module: ModuleType) -> Iterator[type]:
    for value in (getattr(module, name) for name in module.__all__):
        if inspect.isclass(value):
            yield value
        elif inspect.ismodule(value):
            yield from iterate_public_classes(value)


def get_name(public_class: type) -> str:
    return f"{public_class.__module__}.{public_class.__name__}"


def test_every_public_class_is_checked_against_a_contract() -> None:
    assert set(iterate_public_classes(frame_architectures)) == {
        *CONDITIONALS,
        *GIVEN_LABELS,
        *FROM_LABELS,
        *MARGINALS,
        *LAYERS,
        *SCORES,
    }


@pytest.mark.parametrize("conditional", CONDITIONALS, ids=get_name)
def test_conditional_distribution_satisfies_the_contract(conditional: type[ConditionalDistribution]) -> None:
    arguments, condition_shape, event_shape = CONDITIONALS[conditional]
    check_conditional_distribution(conditional(**arguments), torch.rand(4, *condition_shape), event_shape=event_shape)


@pytest.mark.parametrize("decoder", [digits.Decoder, mnist.Decoder, mnist.ConvDecoder])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("scale", [None, 0.1])
def test_a_decoder_has_any_likelihood(
    decoder: type[ConditionalDistribution], likelihood: str, scale: float | None
) -> None:
    arguments, condition_shape, event_shape = CONDITIONALS[decoder]
    if scale is not None and "Bernoulli" in likelihood:
        with pytest.raises(ValueError, match=f"need a distribution with a scale, and {likelihood!r} has none"):
            decoder(**arguments, likelihood=likelihood, scale=scale)
        return
    network = decoder(**arguments, likelihood=likelihood, scale=scale)
    check_conditional_distribution(network, torch.rand(4, *condition_shape), event_shape=event_shape)
    n_last = sum(parameter.numel() for parameter in list(network.parameters())[-2:])
    of_bernoulli = sum(parameter.numel() for parameter in list(decoder(**arguments).parameters())[-2:])
    assert n_last == of_bernoulli * (1 if scale is not None or "Bernoulli" in likelihood else 2)


def test_an_unknown_likelihood_is_refused_with_the_choices() -> None:
    for decoder, sizes in ((digits.Decoder, [8]), (mnist.ConvDecoder, [8])):
        with pytest.raises(ValueError, match=r"`likelihood` must be one of .*'Bernoulli'.*, got 'Gauss'"):
            decoder(3, sizes, likelihood="Gauss")


@pytest.mark.parametrize("conditional", CONDITIONALS, ids=get_name)
def test_conditional_distribution_runs_on_the_meta_device(conditional: type[ConditionalDistribution]) -> None:
    arguments, condition_shape, event_shape = CONDITIONALS[conditional]
    with torch.device("meta"):  # where reading a value, which waits for a GPU, raises
        distribution = conditional(**arguments)(torch.empty(4, *condition_shape))
        assert distribution.event_shape == event_shape
        assert distribution.log_prob(distribution.sample()).shape == (4,)


@pytest.mark.parametrize("conditional", GIVEN_LABELS, ids=get_name)
def test_conditional_distribution_given_labels_satisfies_the_contract(
    conditional: type[ConditionalDistribution],
) -> None:
    arguments, condition_shape, event_shape = GIVEN_LABELS[conditional]
    network, condition, y = conditional(**arguments), torch.rand(4, *condition_shape), torch.tensor([0, 9, 3, 3])
    check_conditional_distribution(network, condition, y, event_shape=event_shape)
    assert network(condition.expand(2, 4, *condition_shape), y.expand(2, 4)).batch_shape == (2, 4)
    assert not torch.equal(network(condition, y).mean, network(condition, y.flip(0)).mean)
    with torch.device("meta"):
        assert conditional(**arguments)(torch.empty(4, *condition_shape), torch.zeros(4).long()).batch_shape == (4,)


@pytest.mark.parametrize("conditional", FROM_LABELS, ids=get_name)
def test_conditional_distribution_of_labels_alone_satisfies_the_contract(
    conditional: type[ConditionalDistribution],
) -> None:
    arguments, event_shape = FROM_LABELS[conditional]
    network, y = conditional(**arguments), torch.tensor([0, 9, 3, 3])
    check_conditional_distribution(network, y, event_shape=event_shape)
    mean = network(y).mean
    torch.testing.assert_close(mean[2], mean[3])
    assert not torch.equal(mean[0], mean[1])


@pytest.mark.parametrize(
    "name", ["Normal", "Laplace", "Delta", "Bernoulli", "ContinuousBernoulli", "OneHotCategorical"]
)
def test_stochastic_layer_satisfies_the_contract(name: str) -> None:
    check_conditional_distribution(StochasticLinear(3, (2, 5), name), torch.randn(4, 3), event_shape=(2, 5))


@pytest.mark.parametrize(("out_features", "event_shape"), [(5, ()), ((2, 5), (2,))])
def test_stochastic_layer_to_labels_satisfies_the_contract(
    out_features: int | tuple[int, ...], event_shape: tuple[int, ...]
) -> None:
    check_conditional_distribution(
        StochasticLinear(3, out_features, "Categorical"), torch.randn(4, 3), event_shape=event_shape
    )


@pytest.mark.parametrize("marginal", MARGINALS, ids=get_name)
def test_marginal_distribution_satisfies_the_contract(marginal: type[MarginalDistribution]) -> None:
    arguments, event_shape = MARGINALS[marginal]
    check_marginal_distribution(marginal(**arguments), event_shape=event_shape)


@pytest.mark.parametrize("score", SCORES, ids=get_name)
def test_a_score_depends_on_its_own_example_only_and_its_gradient_reaches_everything(score: type[nn.Module]) -> None:
    arguments, shapes = SCORES[score]
    module, inputs = score(**arguments), [torch.rand(4, *shape, requires_grad=True) for shape in shapes]
    if "normalization" in arguments:
        module.eval()  # spectral normalization changes the weights in each pass in train mode
    scores = module(*inputs)
    assert scores.shape == (4,)
    torch.testing.assert_close(module(*(x[:1] for x in inputs)), scores[:1])
    gradients = torch.autograd.grad(scores.sum(), [*inputs, *module.parameters()])
    assert len(gradients) == len(inputs) + len(list(module.parameters()))


@pytest.mark.parametrize("marginal", MARGINALS, ids=get_name)
def test_marginal_distribution_never_waits_for_a_gpu(
    marginal: type[MarginalDistribution], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Distribution, "_validate_args", True)
    module = marginal(**MARGINALS[marginal][0]).to("meta")  # where reading a value raises
    value = torch.empty(4, *MARGINALS[marginal][1], device="meta", dtype=torch.long if marginal is PixelCNN else None)
    assert module().log_prob(value).shape == (4,)
