"""Convolutional adversarial networks for images of any shape (DCGAN)."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from frame_architectures.conv import KERNEL_SIZE, PADDING, STRIDE, halve, make_transposed_convolutions
from frame_architectures.layers import AnyBatch, Flatten
from frame_architectures.mlp import check_normalized_batch, make_leaky_relu
from frame_core import check_choice, check_count, check_sizes

NORMALIZATIONS = ("batch", "spectral")
"""Normalizations of the discriminator."""


def make_conv_generator(z_dim: int, channels: Sequence[int], output_shape: Sequence[int]) -> nn.Sequential:
    """Make a network from (\\*batch, z_dim) to images (\\*batch, \\*output_shape) in [0, 1].

    Every layer but the last is normalized over the batch.

    Args:
        z_dim: Number of dimensions of the latent variable.
        channels: Number of channels before each transposed convolution, which doubles the image.
        output_shape: Shape of one image: channels, height and width.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, ``channels`` is empty, or the image is too small for the number of
            convolutions.
    """
    n_channels = _check_channels(channels)
    small_shape = (n_channels[0], *halve(output_shape[1:], len(n_channels))[-1])
    layers: list[nn.Module] = [nn.Linear(check_count("z_dim", z_dim), prod(small_shape)), nn.Unflatten(-1, small_shape)]
    for n_features, convolution in zip(n_channels, make_transposed_convolutions(n_channels, output_shape)):
        layers += [_BatchNorm2d(n_features), nn.ReLU(), convolution]
    return nn.Sequential(AnyBatch(nn.Sequential(*layers), 1), nn.Sigmoid())


def make_conv_score(input_shape: Sequence[int], channels: Sequence[int], normalization: str) -> nn.Sequential:
    """Make a network from images (\\*batch, \\*input_shape) to one number each, of shape (\\*batch, 1).

    Args:
        input_shape: Shape of one image: channels, height and width.
        channels: Number of channels after each convolution, which halves the image.
        normalization: ``batch`` normalizes every convolution but the first over the batch, so that a number depends on
            the other images in train mode. ``spectral`` divides the weight of every layer by its largest singular
            value.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, ``channels`` is empty, ``normalization`` is unknown, or the image is too
            small for the number of convolutions.
    """
    is_spectral = check_choice("normalization", normalization, NORMALIZATIONS) == "spectral"
    n_channels = _check_channels(channels)
    small_shape = (n_channels[-1], *halve(input_shape[1:], len(n_channels))[-1])
    layers: list[nn.Module] = []
    for index, pair in enumerate(pairwise([input_shape[0], *n_channels])):
        convolution = nn.Conv2d(*pair, KERNEL_SIZE, STRIDE, PADDING)
        if is_spectral:
            layers.append(spectral_norm(convolution))
        else:
            layers += [convolution, _BatchNorm2d(pair[1])] if index > 0 else [convolution]
        layers.append(make_leaky_relu())
    check_shape = nn.Sequential(Flatten(input_shape), nn.Unflatten(-1, tuple(input_shape)))
    last = nn.Linear(prod(small_shape), 1)
    return nn.Sequential(
        check_shape,
        AnyBatch(nn.Sequential(*layers), 3),
        Flatten(small_shape),
        spectral_norm(last) if is_spectral else last,
    )


class _BatchNorm2d(nn.BatchNorm2d):
    """Batch normalization of images with a readable error for a batch of one example."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # the name in torch
        check_normalized_batch(self, input)
        return super().forward(input)


def _check_channels(channels: Sequence[int]) -> tuple[int, ...]:
    n_channels = check_sizes("channels", channels)
    if not n_channels:
        raise ValueError("`channels` must have at least one entry, got none.")
    return n_channels
