from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, softplus

from frame_architectures.mlp import (
    make_mlp_decoder,
    make_mlp_encoder,
    make_mlp_generator,
    make_mlp_predictor,
    make_mlp_score,
)
from frame_core import Delta

INPUT_SHAPE = (2, 3)


def apply_by_hand(network: nn.Module, x: Tensor, negative_slope: float = 0.0) -> Tensor:
    """Compute linear maps with ReLUs in between, leaky or not, from the weights of a network."""
    weights = list(network.parameters())
    for weight, bias in zip(weights[:-2:2], weights[1:-2:2]):
        x = x @ weight.T + bias
        x = x.clamp(min=0) + negative_slope * x.clamp(max=0)
    return x @ weights[-2].T + weights[-1]


def test_a_generator_refuses_a_batch_of_one_example_in_train_mode() -> None:
    generator = make_mlp_generator(4, [5], INPUT_SHAPE)
    with pytest.raises(ValueError, match="needs at least 2 examples in train mode, got 1; use a larger"):
        generator(torch.randn(1, 4))
    assert generator.eval()(torch.randn(1, 4)).shape == (1, *INPUT_SHAPE)


@pytest.mark.parametrize("layers", [[], [5], [5, 7]])
def test_encoder_is_a_perceptron_to_mean_and_scale(layers: list[int]) -> None:
    encoder, x = make_mlp_encoder(INPUT_SHAPE, 4, layers), torch.rand(6, *INPUT_SHAPE)
    mean, scale = apply_by_hand(encoder, x.flatten(1)).chunk(2, dim=-1)
    q_z = encoder(x)
    torch.testing.assert_close(q_z.mean, mean)
    torch.testing.assert_close(q_z.stddev, softplus(scale) + 1e-3)


@pytest.mark.parametrize("layers", [[], [5], [5, 7]])
def test_minus_the_log_density_of_an_image_is_the_binary_cross_entropy(layers: list[int]) -> None:
    decoder, z, x = make_mlp_decoder(4, layers, INPUT_SHAPE), torch.randn(6, 4), torch.rand(6, *INPUT_SHAPE)
    expected = binary_cross_entropy_with_logits(apply_by_hand(decoder, z), x.flatten(1), reduction="none").sum(-1)
    torch.testing.assert_close(-decoder(z).log_prob(x), expected)


@pytest.mark.parametrize("layers", [[], [5], [5, 7]])
def test_minus_the_log_probability_of_a_label_is_the_cross_entropy(layers: list[int]) -> None:
    predictor, x, y = make_mlp_predictor(INPUT_SHAPE, layers, 3), torch.rand(6, *INPUT_SHAPE), torch.arange(6) % 3
    expected = cross_entropy(apply_by_hand(predictor, x.flatten(1)), y, reduction="none")
    torch.testing.assert_close(-predictor(x).log_prob(y), expected)


@pytest.mark.parametrize("layers", [[], [5], [5, 7]])
def test_generator_is_a_perceptron_to_numbers_between_0_and_1(layers: list[int]) -> None:
    generator, z = make_mlp_generator(4, layers, INPUT_SHAPE), torch.randn(2, 6, 4)
    hidden = z.flatten(0, 1)
    linear_layers = [layer for layer in generator.modules() if isinstance(layer, nn.Linear)]
    for layer in linear_layers[:-1]:
        hidden = hidden @ layer.weight.T + layer.bias
        hidden = (hidden - hidden.mean(0)) / (hidden.var(0, correction=0) + 1e-5).sqrt()  # over the whole batch
        hidden = hidden.clamp(min=0) + 0.2 * hidden.clamp(max=0)
    expected = (hidden @ linear_layers[-1].weight.T + linear_layers[-1].bias).sigmoid()
    torch.testing.assert_close(generator(z), expected.reshape(2, 6, *INPUT_SHAPE), rtol=1e-4, atol=1e-5)  # float32


@pytest.mark.parametrize("layers", [[], [5], [5, 7]])
def test_score_is_a_perceptron_to_one_number(layers: list[int]) -> None:
    score, x = make_mlp_score(INPUT_SHAPE, layers), torch.rand(6, *INPUT_SHAPE)
    torch.testing.assert_close(score(x), apply_by_hand(score, x.flatten(1), negative_slope=0.2))


def test_units_of_a_score_are_dropped_in_train_mode_only() -> None:
    score, x = make_mlp_score(INPUT_SHAPE, [50], dropout=0.3), torch.rand(6, *INPUT_SHAPE)
    assert not torch.equal(score.train()(x), score(x))
    torch.testing.assert_close(score.eval()(x), apply_by_hand(score, x.flatten(1), negative_slope=0.2))
    with pytest.raises(ValueError, match=r"^`dropout` must be at least 0 and below 1, got 1\.0\.$"):
        make_mlp_score(INPUT_SHAPE, [50], dropout=1.0)


def test_deterministic_encoder_returns_the_output_of_the_perceptron() -> None:
    encoder, x = make_mlp_encoder(INPUT_SHAPE, 4, [5], posterior="Delta"), torch.rand(6, *INPUT_SHAPE)
    q_z = encoder(x)
    assert isinstance(q_z, Delta)
    torch.testing.assert_close(q_z.mean, apply_by_hand(encoder, x.flatten(1)))


@pytest.mark.parametrize("posterior", ["Normal", "Laplace"])
def test_offset_is_added_to_the_scale_before_its_softplus(posterior: str) -> None:
    encoder = make_mlp_encoder(INPUT_SHAPE, 4, [5], posterior, scale_offset=-5.0)
    x = torch.rand(6, *INPUT_SHAPE)
    scale = softplus(apply_by_hand(encoder, x.flatten(1))[:, 4:] - 5) + 1e-3
    expected = scale if posterior == "Normal" else 2**0.5 * scale
    torch.testing.assert_close(encoder(x).stddev, expected)


def test_unknown_posterior_is_named_as_the_user_wrote_it() -> None:
    message = "^`posterior` must be one of 'Normal', 'Laplace', 'Delta', got 'normal'. Did you mean `Normal`"
    with pytest.raises(ValueError, match=message):
        make_mlp_encoder(INPUT_SHAPE, 4, [5], "normal")
    with pytest.raises(ValueError, match="got 'Bernoulli'"):
        make_mlp_encoder(INPUT_SHAPE, 4, [5], "Bernoulli")
    with pytest.raises(ValueError, match=r"`min_scale` and `scale` need .* with a scale, and 'Delta' has none"):
        make_mlp_encoder(INPUT_SHAPE, 4, [5], "Delta", scale_offset=-5.0)


@pytest.mark.parametrize(
    ("z_dim", "layers", "error", "message"),
    [
        (0, [5], ValueError, "`z_dim` must be positive, got 0"),
        ("4", [5], TypeError, "`z_dim` must be an integer, got '4'"),
        (4, [5, -1], ValueError, r"`layers\[1\]` must be positive, got -1"),
        (4, 5, TypeError, "`layers` must be a sequence of integers, got 5"),
        (4, "5", TypeError, "`layers` must be a sequence of integers, got '5'"),
        (4, [[5]], TypeError, r"`layers\[0\]` must be an integer, got \[5\]"),
        (4, None, TypeError, "`layers` must be a sequence of integers, got None"),
    ],
)
def test_bad_sizes_are_named_as_the_user_wrote_them(
    z_dim: Any, layers: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make_mlp_encoder(INPUT_SHAPE, z_dim, layers)
    with pytest.raises(error, match=message):
        make_mlp_decoder(z_dim, layers, INPUT_SHAPE)
    with pytest.raises(error, match=message):
        make_mlp_generator(z_dim, layers, INPUT_SHAPE)


@pytest.mark.parametrize("shape", [(3, 2), (6,), (2, 2, 4)])
def test_data_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        make_mlp_encoder(INPUT_SHAPE, 4, [5])(torch.rand(6, *shape))
