from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import conv_transpose2d

from frame_architectures.dcgan import make_conv_generator, make_conv_score

SHAPE = (2, 9, 6)


def test_the_generator_is_normalized_transposed_convolutions() -> None:
    torch.manual_seed(0)
    generator, z = make_conv_generator(4, [5, 3], SHAPE), torch.randn(6, 4)
    w = list(generator.parameters())  # the weight and the bias of each layer, and of each normalization

    def normalize(x: torch.Tensor) -> torch.Tensor:
        mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
        return ((x - mean) / (variance + 1e-5).sqrt()).clamp(min=0)

    hidden = normalize((z @ w[0].T + w[1]).unflatten(1, (5, 2, 1)))
    hidden = normalize(conv_transpose2d(hidden, w[4], w[5], stride=2, padding=1, output_padding=(0, 1)))
    expected = conv_transpose2d(hidden, w[8], w[9], stride=2, padding=1, output_padding=(1, 0)).sigmoid()
    torch.testing.assert_close(generator(z), expected)


def test_the_discriminator_normalizes_all_convolutions_but_the_first() -> None:
    score = make_conv_score((1, 16, 16), [3, 5, 4], "batch")
    kinds = [
        type(module).__mro__[1].__name__ if "Norm" in type(module).__name__ else type(module).__name__
        for module in score.modules()
        if not list(module.children())
    ]
    assert kinds == [
        "Flatten",
        "Unflatten",
        "Conv2d",
        "LeakyReLU",
        "Conv2d",
        "BatchNorm2d",
        "LeakyReLU",
        "Conv2d",
        "BatchNorm2d",
        "LeakyReLU",
        "Flatten",
        "Linear",
    ]
    assert score(torch.rand(2, 6, 1, 16, 16)).shape == (2, 6, 1)


def test_every_layer_with_spectral_normalization_has_a_largest_singular_value_of_one() -> None:
    torch.manual_seed(0)
    score, x = make_conv_score(SHAPE, [3, 5], "spectral"), torch.rand(4, *SHAPE)
    for _ in range(100):  # each pass in train mode is one step of the power iteration
        score(x)
    layers = [module for module in score.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(layers) == 3
    for layer in layers:
        largest = torch.linalg.svdvals(layer.weight.flatten(1))[0]
        torch.testing.assert_close(largest, torch.tensor(1.0), atol=1e-3, rtol=0)


def test_a_batch_of_one_image_cannot_be_normalized_in_train_mode() -> None:
    with pytest.raises(ValueError, match="Batch normalization needs at least 2 examples in train mode, got 1"):
        make_conv_generator(4, [5, 3], SHAPE)(torch.randn(1, 4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_conv_generator(4, [], SHAPE), "`channels` must have at least one entry"),
        (lambda: make_conv_generator(0, [3], SHAPE), "`z_dim` must be positive"),
        (lambda: make_conv_score(SHAPE, [], "batch"), "`channels` must have at least one entry"),
        (lambda: make_conv_score(SHAPE, [3], "spectra"), "`normalization` must be .* Did you mean `spectral`"),
        (lambda: make_conv_score(SHAPE, [3] * 4, "batch"), "cannot be halved 4 times"),
    ],
)
def test_a_bad_option_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
