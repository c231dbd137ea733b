"""Networks made of fully connected layers, whatever the shape of the data."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from frame_architectures.layers import AnyBatch, Flatten, make_stack
from frame_architectures.stochastic import StochasticLinear
from frame_core import check_choice, check_count, check_sizes

POSTERIORS = ("Normal", "Laplace", "Delta")
"""The distributions of a representation: of those of `StochasticLinear`, the ones over real numbers."""

_make_leaky_relu = partial(nn.LeakyReLU, 0.2)
"""What adversaries are made of, so that a gradient comes through wherever a datum lies (Radford et al., 2016)."""


def make_mlp_encoder(
    input_shape: Sequence[int], z_dim: int, layers: Sequence[int], posterior: str = "Normal", scale_offset: float = 0.0
) -> nn.Sequential:
    """Make a network from (\\*batch, \\*input_shape) to a distribution of event shape (z_dim,).

    Args:
        input_shape: Shape of one datum.
        z_dim: Number of dimensions of the representation.
        layers: Number of units in each hidden layer, from the datum to the representation.
        posterior: ``Normal``, ``Laplace`` or, for a deterministic representation, ``Delta``.
        scale_offset: What is added to a scale before its softplus.

    Raises:
        TypeError: A size is no integer.
        ValueError: A size is not positive, there is no such posterior, or it has no scale to be offset.
    """
    flatten = Flatten(input_shape)
    sizes = [flatten.event_shape.numel(), *check_sizes("layers", layers)]
    return nn.Sequential(flatten, make_stack(sizes), make_posterior(sizes[-1], z_dim, posterior, scale_offset))


def make_posterior(n_features: int, z_dim: int, posterior: str, scale_offset: float) -> StochasticLinear:
    """Make the last layer of an encoder, from (\\*batch, n_features) to an event of shape (z_dim,).

    Raises:
        TypeError: A size is no integer.
        ValueError: A size is not positive, there is no such posterior, or it has no scale to be offset.
    """
    check_choice("posterior", posterior, POSTERIORS)
    return StochasticLinear(n_features, check_count("z_dim", z_dim), posterior, scale_offset)


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
    sizes = [check_count("z_dim", z_dim), *check_sizes("layers", layers)]
    return nn.Sequential(make_stack(sizes), StochasticLinear(sizes[-1], output_shape, "Bernoulli"))


def make_mlp_predictor(input_shape: Sequence[int], layers: Sequence[int], n_labels: int) -> nn.Sequential:
    """Make a network from (\\*batch, \\*input_shape) to a categorical distribution over labels.

    Args:
        input_shape: Shape of one datum, or of its representation.
        layers: Number of units in each hidden layer; none makes the network linear.
        n_labels: Number of labels.

    Raises:
        TypeError: A size is no integer.
        ValueError: A size is not positive.
    """
    flatten = Flatten(input_shape)
    sizes = [flatten.event_shape.numel(), *check_sizes("layers", layers)]
    return nn.Sequential(flatten, make_stack(sizes), StochasticLinear(sizes[-1], n_labels, "Categorical"))


def make_mlp_generator(z_dim: int, layers: Sequence[int], output_shape: Sequence[int]) -> nn.Sequential:
    """Make a network from (\\*batch, z_dim) to tensors (\\*batch, \\*output_shape) of numbers in [0, 1].

    Hidden layers are normalized over the batch, without which the generator falls behind its discriminator
    on its first steps and soon gives one picture for all z.

    Args:
        z_dim: Number of dimensions of what is generated from.
        layers: Number of units in each hidden layer.
        output_shape: Shape of one datum.

    Raises:
        TypeError: A size is no integer.
        ValueError: A size is not positive.
    """
    sizes = [check_count("z_dim", z_dim), *check_sizes("layers", layers)]
    shape = check_sizes("output_shape", output_shape)
    last = nn.Linear(sizes[-1], prod(shape))
    hidden = [layer for pair in pairwise(sizes) for layer in _make_normalized_layer(*pair)]
    return nn.Sequential(AnyBatch(nn.Sequential(*hidden), 1), last, nn.Sigmoid(), nn.Unflatten(-1, shape))


def _make_normalized_layer(in_features: int, out_features: int) -> tuple[nn.Module, ...]:
    return nn.Linear(in_features, out_features), _BatchNorm(out_features), _make_leaky_relu()


class _BatchNorm(nn.BatchNorm1d):
    """Says in words that one datum is too few."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # as torch has it
        if self.training and len(input) < 2:
            raise ValueError(
                "A network that normalizes over the batch must be given two data or more in train mode, got "
                f"{len(input)}: use a larger `batch_size`."
            )
        return super().forward(input)


def make_mlp_score(input_shape: Sequence[int], layers: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Make a network from (\\*batch, \\*input_shape) to one number for each datum, of shape (\\*batch, 1).

    Without normalization over the batch, so that a number depends on its own datum alone.

    Args:
        input_shape: Shape of one datum.
        layers: Number of units in each hidden layer.
        dropout: Probability that a unit of a hidden layer is dropped while the network is trained.

    Raises:
        TypeError: A size is no integer.
        ValueError: A size is not positive, or the probability is not in [0, 1).
    """
    if not 0 <= dropout < 1:
        raise ValueError(f"`dropout` must be at least 0 and below 1, got {dropout!r}.")
    flatten = Flatten(input_shape)
    sizes = [flatten.event_shape.numel(), *check_sizes("layers", layers)]
    stack = make_stack(sizes, lambda: nn.Sequential(_make_leaky_relu(), nn.Dropout(dropout)))
    return nn.Sequential(flatten, stack, nn.Linear(sizes[-1], 1))
