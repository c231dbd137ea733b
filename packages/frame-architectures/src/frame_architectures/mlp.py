"""Encoders and decoders made of fully connected layers, whatever the shape of the data."""

from collections.abc import Sequence

from torch import nn

from frame_architectures.layers import Flatten, make_stack
from frame_architectures.sizes import check_size, check_sizes
from frame_architectures.stochastic import StochasticLinear


def make_mlp_encoder(input_shape: Sequence[int], z_dim: int, layers: Sequence[int]) -> nn.Sequential:
    """Make a network from (\\*batch, \\*input_shape) to a normal distribution of event shape (z_dim,).

    Args:
        input_shape: Shape of one datum.
        z_dim: Number of dimensions of the representation.
        layers: Number of units in each hidden layer, from the datum to the representation.

    Raises:
        TypeError: A size is no integer.
        ValueError: A size is not positive.
    """
    flatten = Flatten(input_shape)
    sizes = [flatten.event_shape.numel(), *check_sizes("layers", layers)]
    return nn.Sequential(flatten, make_stack(sizes), StochasticLinear(sizes[-1], check_size("z_dim", z_dim), "Normal"))


def make_mlp_decoder(z_dim: int, layers: Sequence[int], output_shape: Sequence[int]) -> nn.Sequential:
    """Make a network from (\\*batch, z_dim) to a Bernoulli distribution of event shape ``output_shape``.

    Args:
        z_dim: Number of dimensions of the representation.
        layers: Number of units in each hidden layer, from the representation to the datum.
        output_shape: Shape of one datum.

    Raises:
        TypeError: A size is no integer.
        ValueError: A size is not positive.
    """
    sizes = [check_size("z_dim", z_dim), *check_sizes("layers", layers)]
    return nn.Sequential(make_stack(sizes), StochasticLinear(sizes[-1], output_shape, "Bernoulli"))
