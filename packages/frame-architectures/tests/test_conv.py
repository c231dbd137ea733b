import re
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, conv2d, conv_transpose2d, softplus

from frame_architectures.conv import make_conv_decoder, make_conv_encoder
from frame_core import Delta

INPUT_SHAPE = (2, 9, 6)


@settings(max_examples=40)
@given(
    height=st.integers(8, 20),
    width=st.integers(8, 20),
    channels=st.lists(st.integers(1, 3), max_size=3),
    batch_shape=st.lists(st.integers(1, 2), max_size=2).map(tuple),
)
def test_a_decoder_returns_images_of_the_shape_the_encoder_takes(
    height: int, width: int, channels: list[int], batch_shape: tuple[int, ...]
) -> None:
    shape = (1, height, width)
    q_z = make_conv_encoder(shape, 4, channels)(torch.rand(*batch_shape, *shape))
    assert (q_z.batch_shape, q_z.event_shape) == (batch_shape, (4,))
    p_x = make_conv_decoder(4, channels[::-1], shape)(q_z.mean)
    assert (p_x.batch_shape, p_x.event_shape) == (batch_shape, shape)


def test_an_encoder_is_convolutions_to_mean_and_scale() -> None:
    encoder, x = make_conv_encoder(INPUT_SHAPE, 4, [3, 5]), torch.rand(6, *INPUT_SHAPE)
    weights = list(encoder.parameters())
    hidden = conv2d(x, weights[0], weights[1], stride=2, padding=1).clamp(min=0)
    hidden = conv2d(hidden, weights[2], weights[3], stride=2, padding=1).clamp(min=0)
    mean, scale = (hidden.flatten(1) @ weights[4].T + weights[5]).chunk(2, dim=-1)
    q_z = encoder(x)
    torch.testing.assert_close(q_z.mean, mean)
    torch.testing.assert_close(q_z.stddev, softplus(scale) + 1e-3)


def test_a_decoder_is_transposed_convolutions_to_logits() -> None:
    decoder, z, x = make_conv_decoder(4, [5, 3], INPUT_SHAPE), torch.randn(6, 4), torch.rand(6, *INPUT_SHAPE)
    weights = list(decoder.parameters())
    hidden = (z @ weights[0].T + weights[1]).unflatten(1, (5, 2, 1)).clamp(min=0)
    hidden = conv_transpose2d(hidden, weights[2], weights[3], stride=2, padding=1, output_padding=(0, 1)).clamp(min=0)
    logits = conv_transpose2d(hidden, weights[4], weights[5], stride=2, padding=1, output_padding=(1, 0))
    expected = binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
    torch.testing.assert_close(-decoder(z).log_prob(x), expected)


def test_a_deterministic_encoder_returns_a_delta() -> None:
    assert isinstance(make_conv_encoder(INPUT_SHAPE, 4, [3], "Delta")(torch.rand(6, *INPUT_SHAPE)), Delta)


def test_the_offset_of_the_scale_is_added_before_the_softplus() -> None:
    encoder = make_conv_encoder(INPUT_SHAPE, 4, [3], scale_offset=-5.0)
    for parameter in encoder.parameters():
        nn.init.zeros_(parameter)
    stddev = encoder(torch.rand(6, *INPUT_SHAPE)).stddev
    torch.testing.assert_close(stddev, (softplus(torch.tensor(-5.0)) + 1e-3).expand(6, 4))


@pytest.mark.parametrize("shape", [(2, 6, 9), (1, 9, 6), (54,), (2, 9, 7)])
def test_images_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"end in the `event_shape` {INPUT_SHAPE}, got {(6, *shape)}")):
        make_conv_encoder(INPUT_SHAPE, 4, [3])(torch.rand(6, *shape))


@pytest.mark.parametrize(
    ("z_dim", "channels", "error", "message"),
    [
        (0, [5], ValueError, "`z_dim` must be positive, got 0"),
        ("4", [5], TypeError, "`z_dim` must be an integer, got '4'"),
        (4, [5, -1], ValueError, r"`channels\[1\]` must be positive, got -1"),
        (4, 5, TypeError, "`channels` must be a sequence of integers, got 5"),
        (
            4,
            [2, 2, 2],
            ValueError,
            "`channels` has 3 entries, but an image of 9 × 6 cannot be halved 3 times; use fewer",
        ),
    ],
)
def test_bad_sizes_are_refused(z_dim: Any, channels: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make_conv_encoder(INPUT_SHAPE, z_dim, channels)
    with pytest.raises(error, match=message):
        make_conv_decoder(z_dim, channels, INPUT_SHAPE)
