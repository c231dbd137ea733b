import copy
import pickle
from math import pi, sqrt
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Categorical, Distribution, Independent
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, softplus

from frame_architectures import StochasticLinear
from frame_core import Delta

N_INPUTS = 4
NAMES = (
    "Normal",
    "Laplace",
    "DiscretizedLogistic",
    "Delta",
    "Bernoulli",
    "ContinuousBernoulli",
    "Categorical",
    "OneHotCategorical",
)


@pytest.fixture
def validation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enable the validation of distributions, torch's default, which importing zuko disables globally."""
    monkeypatch.setattr(Distribution, "_validate_args", True)


def make_inputs(*batch_shape: int) -> Tensor:
    return torch.randn(*batch_shape, N_INPUTS)


def split_parameters(layer: StochasticLinear, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return location and scale of a layer with one output, computed from its weights."""
    location, scale = (x @ layer.linear.weight.T + layer.linear.bias).unbind(-1)
    return location, softplus(scale) + 1e-3


def test_normal_has_the_density_of_the_formula() -> None:
    layer, x, y = StochasticLinear(N_INPUTS, 1, "Normal"), make_inputs(6), torch.randn(6)
    location, scale = split_parameters(layer, x)
    expected = -((y - location) ** 2) / (2 * scale**2) - (scale * sqrt(2 * pi)).log()
    torch.testing.assert_close(layer(x).log_prob(y[:, None]), expected)


def test_laplace_has_the_density_of_the_formula() -> None:
    layer, x, y = StochasticLinear(N_INPUTS, 1, "Laplace"), make_inputs(6), torch.randn(6)
    location, scale = split_parameters(layer, x)
    expected = -(y - location).abs() / scale - (2 * scale).log()
    torch.testing.assert_close(layer(x).log_prob(y[:, None]), expected)


@pytest.mark.usefixtures("validation")
def test_minus_the_log_density_of_a_bernoulli_is_the_binary_cross_entropy() -> None:
    # for images in [0, 1], which are outside its support
    layer, x, y = StochasticLinear(N_INPUTS, (2, 3), "Bernoulli"), make_inputs(6), torch.rand(6, 2, 3)
    expected = binary_cross_entropy_with_logits(layer.linear(x), y.flatten(1), reduction="none").sum(-1)
    torch.testing.assert_close(-layer(x).log_prob(y), expected)


def test_minus_the_log_density_of_a_categorical_is_the_cross_entropy() -> None:
    layer, x, labels = StochasticLinear(N_INPUTS, 3, "Categorical"), make_inputs(6), torch.arange(6) % 3
    p_y = layer(x)
    assert p_y.event_shape == ()
    torch.testing.assert_close(-p_y.log_prob(labels), cross_entropy(layer.linear(x), labels, reduction="none"))


@pytest.mark.parametrize("name", ["Normal", "Laplace", "ContinuousBernoulli"])
def test_density_integrates_to_one(name: str) -> None:
    low, high = (0.0, 1.0) if name == "ContinuousBernoulli" else (-40.0, 40.0)
    y = torch.linspace(low, high, 40_001, dtype=torch.double)[:, None, None]
    layer = StochasticLinear(N_INPUTS, 1, name).double()
    density = layer(make_inputs(6).double()).log_prob(y).exp()
    # The trapezoidal rule is off by the square of the distance of two points, and more at the peak of a Laplace.
    torch.testing.assert_close(
        torch.trapezoid(density, y.squeeze(-1), dim=0), torch.ones(6, dtype=torch.double), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("name", ["Bernoulli", "Categorical"])
def test_probabilities_sum_to_one(name: str) -> None:
    p_y = StochasticLinear(N_INPUTS, 1 if name == "Bernoulli" else 3, name)(make_inputs(6))
    values = {
        "Bernoulli": torch.tensor([0.0, 1.0])[:, None, None],
        "Categorical": torch.arange(3)[:, None],
    }
    torch.testing.assert_close(p_y.log_prob(values[name]).exp().sum(0), torch.ones(6))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30)
@given(
    batch_shape=st.lists(st.integers(1, 3), max_size=3), out_shape=st.lists(st.integers(1, 3), min_size=1, max_size=3)
)
def test_shapes_are_those_of_the_batch_and_of_one_example(
    name: str, batch_shape: list[int], out_shape: list[int]
) -> None:
    distribution = StochasticLinear(N_INPUTS, out_shape, name)(make_inputs(*batch_shape))
    assert distribution.batch_shape == tuple(batch_shape)
    assert distribution.event_shape == tuple(out_shape[:-1] if name == "Categorical" else out_shape)
    value = distribution.sample()
    assert value.shape == distribution.batch_shape + distribution.event_shape
    assert distribution.log_prob(value).shape == tuple(batch_shape)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("validation")
def test_forward_reads_no_value_on_the_meta_device(name: str) -> None:
    with torch.device("meta"):
        distribution = StochasticLinear(N_INPUTS, (2, 3), name)(make_inputs(5))
        value = torch.zeros(distribution.batch_shape + distribution.event_shape)
        assert distribution.log_prob(value.long() if name == "Categorical" else value).shape == (5,)


@pytest.mark.parametrize("name", ["Normal", "Laplace"])
@pytest.mark.parametrize("scale_offset", [-5.0, 0.0, 2.0])
def test_scale_is_the_softplus_of_an_offset_number(name: str, scale_offset: float) -> None:
    layer, x = StochasticLinear(N_INPUTS, 1, name, scale_offset).double(), make_inputs(6).double()
    location, scale = (x @ layer.linear.weight.T + layer.linear.bias).unbind(-1)
    distribution = layer(x)
    torch.testing.assert_close(distribution.mean.squeeze(-1), location)
    expected = (softplus(scale + scale_offset) + 1e-3) * (1.0 if name == "Normal" else sqrt(2.0))
    torch.testing.assert_close(distribution.stddev.squeeze(-1), expected)


@pytest.mark.parametrize("name", ["Delta", "Bernoulli", "ContinuousBernoulli", "Categorical"])
@pytest.mark.parametrize("option", [{"scale_offset": -5.0}, {"min_scale": 0.1}, {"scale": 0.1}])
def test_options_of_the_scale_are_refused_for_a_distribution_without_one(name: str, option: dict[str, float]) -> None:
    message = f"^`scale_offset`, `min_scale` and `scale` need a distribution with a scale, and {name!r} has none"
    with pytest.raises(ValueError, match=message):
        StochasticLinear(N_INPUTS, 2, name, **option)


def test_delta_is_the_linear_map_itself() -> None:
    layer, x = StochasticLinear(N_INPUTS, (2, 3), "Delta"), make_inputs(5)
    distribution = layer(x)
    assert isinstance(distribution, Delta)
    torch.testing.assert_close(distribution.mean.flatten(1), x @ layer.linear.weight.T + layer.linear.bias)


def test_repr_shows_the_arguments() -> None:
    assert "out_shape=(2,), distribution='Normal', scale_offset=-5.0" in repr(StochasticLinear(4, 2, "Normal", -5.0))
    assert "_scale" not in repr(StochasticLinear(4, 2, "Normal"))
    assert "distribution='Normal', min_scale=0.1" in repr(StochasticLinear(4, 2, "Normal", min_scale=0.1))


@pytest.mark.parametrize("name", ["Normal", "Laplace"])
def test_a_fixed_scale_is_not_computed(name: str) -> None:
    layer, x = StochasticLinear(N_INPUTS, 2, name, scale=0.3), make_inputs(5)
    distribution = layer(x)
    torch.testing.assert_close(distribution.mean, layer.linear(x))
    expected = 0.3 * (1.0 if name == "Normal" else sqrt(2.0))
    torch.testing.assert_close(distribution.stddev, torch.full((5, 2), expected))


def test_a_fixed_scale_has_no_other_options() -> None:
    with pytest.raises(ValueError, match="`scale_offset` and `min_scale` need a scale that is computed"):
        StochasticLinear(N_INPUTS, 2, "Normal", scale=0.3, min_scale=0.1)


@pytest.mark.parametrize("name", ["Normal", "Laplace"])
@pytest.mark.parametrize("options", [{}, {"min_scale": 0.1}])
def test_scale_never_falls_below_the_smallest(name: str, options: dict[str, float]) -> None:
    layer = StochasticLinear(N_INPUTS, 2, name, **options)
    torch.nn.init.constant_(layer.linear.bias, -200.0)
    scale = layer(torch.zeros(1, N_INPUTS)).stddev / (1.0 if name == "Normal" else sqrt(2.0))
    torch.testing.assert_close(scale, torch.full((1, 2), options.get("min_scale", 1e-3)))


@pytest.mark.parametrize(("min_scale", "error"), [(0.0, ValueError), (-1.0, ValueError), ("1", TypeError)])
def test_bad_smallest_scales_are_refused(min_scale: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"^`min_scale` must be .*, got {min_scale!r}"):
        StochasticLinear(N_INPUTS, 2, "Normal", min_scale=min_scale)


def test_categorical_of_one_label_is_not_wrapped() -> None:
    assert isinstance(StochasticLinear(N_INPUTS, 3, "Categorical")(make_inputs(5)), Categorical)
    assert isinstance(StochasticLinear(N_INPUTS, (2, 3), "Categorical")(make_inputs(5)), Independent)


def test_layer_can_be_copied_and_pickled() -> None:
    layer, x = StochasticLinear(N_INPUTS, 2, "Normal"), make_inputs(5)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(other(x).mean, layer(x).mean)


@pytest.mark.parametrize(
    ("in_features", "out_features", "error", "message"),
    [
        (0, 2, ValueError, "`in_features` must be positive, got 0"),
        ("4", 2, TypeError, "`in_features` must be an integer, got '4'"),
        (4, -1, ValueError, "`out_features` must be positive, got -1"),
        (4, "2", TypeError, "`out_features` must be an integer, got '2'"),
        (4, 2.5, TypeError, r"`out_features` must be an integer, got 2\.5"),
        (4, (1, 0), ValueError, r"`out_features\[1\]` must be positive, got 0"),
        (4, (), ValueError, "`out_features` must have at least one entry, got none"),
    ],
)
def test_bad_sizes_are_refused(in_features: Any, out_features: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        StochasticLinear(in_features, out_features, "Normal")


@pytest.mark.parametrize(
    ("name", "nearest"), [("normal", "Normal"), ("Bernouli", "Bernoulli"), ("Categorial", "Categorical")]
)
def test_unknown_distribution_is_refused_with_the_choices_and_the_nearest(name: str, nearest: str) -> None:
    choices = ", ".join(map(repr, NAMES))
    message = f"^`distribution` must be one of {choices}, got {name!r}\\. Did you mean `{nearest}`\\?$"
    with pytest.raises(ValueError, match=message):
        StochasticLinear(N_INPUTS, 2, name)


def test_a_name_unlike_any_choice_gets_no_suggestion() -> None:
    with pytest.raises(ValueError, match=r"got 'xyz'\.$"):
        StochasticLinear(N_INPUTS, 2, "xyz")
