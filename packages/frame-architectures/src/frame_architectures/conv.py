"""Convolutional encoders and decoders for images of any shape."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn
from torch.distributions import Distribution

from frame_architectures.layers import AnyBatch, Flatten
from frame_architectures.mlp import LIKELIHOODS, make_mlp_predictor, make_posterior
from frame_architectures.stochastic import MIN_SCALE, check_scale, count_parameters, make_distribution
from frame_core import ConditionalDistribution, Delta, check_choice, check_count, check_sizes

KERNEL_SIZE, STRIDE, PADDING = 4, 2, 1
"""Convolutions of this form halve an image, rounding down. Every pixel contributes to equally many outputs."""


def make_conv_encoder(
    input_shape: Sequence[int],
    z_dim: int,
    channels: Sequence[int],
    posterior: str = "Normal",
    scale_offset: float = 0.0,
    min_scale: float = MIN_SCALE,
) -> nn.Sequential:
    """Make a network from images (\\*batch, \\*input_shape) to a distribution of event shape (z_dim,).

    Args:
        input_shape: Shape of one image: channels, height and width.
        z_dim: Number of dimensions of the representation.
        channels: Number of channels after each convolution. Each convolution halves the image.
        posterior: ``Normal``, ``Laplace`` or, for a deterministic representation, ``Delta``.
        scale_offset: Offset of the scale before its softplus.
        min_scale: Smallest scale.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, the image is too small for the number of convolutions, ``posterior``
            is unknown, or ``scale_offset`` or ``min_scale`` is set for ``Delta``.
    """
    n_channels = check_sizes("channels", channels)
    small_shape = (n_channels[-1] if n_channels else input_shape[0], *halve(input_shape[1:], len(n_channels))[-1])
    convolutions = _make_convolutions(input_shape, n_channels)
    last = make_posterior(prod(small_shape), z_dim, posterior, scale_offset, min_scale)
    return nn.Sequential(*convolutions, Flatten(small_shape), last)


def make_conv_decoder(
    z_dim: int,
    channels: Sequence[int],
    output_shape: Sequence[int],
    likelihood: str = "Bernoulli",
    scale: float | None = None,
    min_scale: float = MIN_SCALE,
) -> ConditionalDistribution:
    """Make a network from (\\*batch, z_dim) to a likelihood of images of ``output_shape``.

    Args:
        z_dim: Number of dimensions of the representation.
        channels: Number of channels before each transposed convolution: those of the encoder, reversed. Each
            transposed convolution doubles the image.
        output_shape: Shape of one image: channels, height and width.
        likelihood: ``Bernoulli``, ``ContinuousBernoulli``, ``Normal``, ``Laplace`` or ``DiscretizedLogistic``.
        scale: Fixed scale of a likelihood that has one; None for one of each pixel that the network computes.
        min_scale: Smallest scale that the network computes.

    Raises:
        TypeError: A size is not an integer, or a scale is not a number.
        ValueError: A size or a scale is not positive, the image is too small for the number of convolutions, or
            ``likelihood`` is unknown, or has no scale to set.
    """
    n_channels = check_sizes("channels", channels)
    check_scale(check_choice("likelihood", likelihood, LIKELIHOODS), 0.0, min_scale, scale)
    stacked_shape = (count_parameters(likelihood, scale) * output_shape[0], *output_shape[1:])
    small_shape = (n_channels[0] if n_channels else stacked_shape[0], *halve(output_shape[1:], len(n_channels))[-1])
    first = nn.Sequential(nn.Linear(check_count("z_dim", z_dim), prod(small_shape)), nn.Unflatten(-1, small_shape))
    network = nn.Sequential(first, _make_transposed_network(n_channels, stacked_shape))
    return _Images(network, 1, likelihood, scale, min_scale)


def make_conv_predictor(
    input_shape: Sequence[int], channels: Sequence[int], layers: Sequence[int], n_labels: int
) -> nn.Sequential:
    """Make a network from images (\\*batch, \\*input_shape) to a categorical distribution over labels.

    Args:
        input_shape: Shape of one image: channels, height and width.
        channels: Number of channels after each convolution. Each convolution halves the image.
        layers: Number of units in each hidden layer after the convolutions.
        n_labels: Number of labels.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, or the image is too small for the number of convolutions.
    """
    n_channels = check_sizes("channels", channels)
    small_shape = ([input_shape[0], *n_channels][-1], *halve(input_shape[1:], len(n_channels))[-1])
    return nn.Sequential(
        *_make_convolutions(input_shape, n_channels), make_mlp_predictor(small_shape, layers, n_labels)
    )


def make_grid_encoder(input_shape: Sequence[int], code_dim: int, channels: Sequence[int]) -> ConditionalDistribution:
    """Make a network from images (\\*batch, \\*input_shape) to a `Delta` over grids (height, width, code_dim).

    Args:
        input_shape: Shape of one image: channels, height and width.
        code_dim: Number of dimensions of a vector.
        channels: Number of channels after each convolution. Each convolution halves the image; the grid has the
            height and width of the smallest.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, or the image is too small for the number of convolutions.
    """
    n_channels = check_sizes("channels", channels)
    last = nn.Conv2d([input_shape[0], *n_channels][-1], check_count("code_dim", code_dim), kernel_size=1)
    return _VectorGrids(nn.Sequential(*_make_convolutions(input_shape, n_channels), AnyBatch(last, 3)))


def make_grid_decoder(code_dim: int, channels: Sequence[int], output_shape: Sequence[int]) -> ConditionalDistribution:
    """Make a network from grids (\\*batch, height, width, code_dim) to a Bernoulli distribution over images.

    Args:
        code_dim: Number of dimensions of a vector.
        channels: Number of channels before each transposed convolution: those of the encoder, reversed. Each
            transposed convolution doubles the grid.
        output_shape: Shape of one image: channels, height and width.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, or the image is too small for the number of convolutions.
    """
    n_channels = check_sizes("channels", channels)
    first = nn.Conv2d(check_count("code_dim", code_dim), [*n_channels, output_shape[0]][0], kernel_size=1)
    layers = nn.Sequential(_ChannelsFirst(), AnyBatch(first, 3), _make_transposed_network(n_channels, output_shape))
    return _Images(layers, 3)


class _Images(ConditionalDistribution):
    """Distribution of event shape (channels, height, width), of whose parameters a network computes the channels."""

    def __init__(
        self,
        network: nn.Module,
        n_condition_dims: int,
        likelihood: str = "Bernoulli",
        scale: float | None = None,
        min_scale: float = MIN_SCALE,
    ) -> None:
        super().__init__()
        self.network = network
        self._n_condition_dims = n_condition_dims
        self._likelihood = likelihood
        self._scale = scale
        self._min_scale = min_scale

    def forward(self, z: Tensor) -> Distribution:
        parameters = self.network(z).chunk(count_parameters(self._likelihood, self._scale), dim=-3)
        n_batch_dims = z.ndim - self._n_condition_dims
        return make_distribution(
            self._likelihood, parameters, n_batch_dims, min_scale=self._min_scale, scale=self._scale
        )


class _VectorGrids(ConditionalDistribution):
    """`Delta` of event shape (height, width, channels) whose value a network computes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Distribution:
        return Delta(self.network(x).movedim(-3, -1), 3)


class _ChannelsFirst(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return z.movedim(-1, -3)


def _make_convolutions(input_shape: Sequence[int], n_channels: Sequence[int]) -> nn.Sequential:
    """Make a network from images (\\*batch, \\*input_shape) to smaller ones with more channels."""
    halve(input_shape[1:], len(n_channels))  # checks the size
    layers = [
        layer
        for pair in pairwise([input_shape[0], *n_channels])
        for layer in (nn.Conv2d(*pair, KERNEL_SIZE, STRIDE, PADDING), nn.ReLU())
    ]
    check_shape = nn.Sequential(Flatten(input_shape), nn.Unflatten(-1, tuple(input_shape)))
    return nn.Sequential(check_shape, AnyBatch(nn.Sequential(*layers), 3))


def _make_transposed_network(n_channels: Sequence[int], output_shape: Sequence[int]) -> nn.Module:
    """Make a network from small images with many channels to images (\\*batch, \\*output_shape)."""
    convolutions = make_transposed_convolutions(n_channels, output_shape)
    return AnyBatch(nn.Sequential(*(layer for each in convolutions for layer in (nn.ReLU(), each))), 3)


def make_transposed_convolutions(n_channels: Sequence[int], output_shape: Sequence[int]) -> list[nn.Module]:
    """Make the transposed convolutions from small images with many channels to images of ``output_shape``."""
    sizes = halve(output_shape[1:], len(n_channels))[::-1]
    convolutions: list[nn.Module] = []
    for pair, (size, larger) in zip(pairwise([*n_channels, output_shape[0]]), pairwise(sizes)):
        rest = (larger[0] - 2 * size[0], larger[1] - 2 * size[1])  # the remainder of halving
        convolutions.append(nn.ConvTranspose2d(*pair, KERNEL_SIZE, STRIDE, PADDING, output_padding=rest))
    return convolutions


def halve(size: Sequence[int], n_times: int) -> list[tuple[int, int]]:
    """Return the height and width of an image before the first convolution and after each."""
    height, width = size
    sizes = [(height >> index, width >> index) for index in range(n_times + 1)]
    if min(sizes[-1]) < 1:
        raise ValueError(
            f"`channels` has {n_times} entries, but an image of {height} × {width} cannot be halved {n_times} times; "
            "use fewer entries."
        )
    return sizes
