"""Fully connected networks for data of any shape."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from frame_architectures.layers import AnyBatch, Flatten, make_stack
from frame_architectures.stochastic import MIN_SCALE, StochasticLinear
from frame_core import check_choice, check_count, check_sizes

POSTERIORS = ("Normal", "Laplace", "Delta")
"""Distributions of a representation: those of `StochasticLinear` whose support is the real numbers."""

LIKELIHOODS = ("Bernoulli", "ContinuousBernoulli", "Normal", "Laplace", "DiscretizedLogistic")
"""Distributions of an example: those of `StochasticLinear` for numbers in [0, 1], or for all real numbers."""

make_leaky_relu = partial(nn.LeakyReLU, 0.2)
"""Activation of adversarial networks. Its gradient is nowhere zero (Radford et al., 2016)."""


def make_mlp_encoder(
    input_shape: Sequence[int],
    z_dim: int,
    layers: Sequence[int],
    posterior: str = "Normal",
    scale_offset: float = 0.0,
    min_scale: float = MIN_SCALE,
) -> nn.Sequential:
    """Make a network from (\\*batch, \\*input_shape) to a distribution of event shape (z_dim,).

    Args:
        input_shape: Shape of one example.
        z_dim: Number of dimensions of the representation.
        layers: Number of units in each hidden layer, from the example to the representation.
        posterior: ``Normal``, ``Laplace`` or, for a deterministic representation, ``Delta``.
        scale_offset: Offset of the scale before its softplus.
        min_scale: Smallest scale.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, ``posterior`` is unknown, or ``scale_offset`` or ``min_scale`` is set for
            ``Delta``.
    """
    flatten = Flatten(input_shape)
    sizes = [flatten.event_shape.numel(), *check_sizes("layers", layers)]
    last = make_posterior(sizes[-1], z_dim, posterior, scale_offset, min_scale)
    return nn.Sequential(flatten, make_stack(sizes), last)


def make_posterior(
    n_features: int, z_dim: int, posterior: str, scale_offset: float, min_scale: float
) -> StochasticLinear:
    """Make the last layer of an encoder, from (\\*batch, n_features) to an event of shape (z_dim,).

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, ``posterior`` is unknown, or ``scale_offset`` or ``min_scale`` is set for
            ``Delta``.
    """
    check_choice("posterior", posterior, POSTERIORS)
    return StochasticLinear(n_features, check_count("z_dim", z_dim), posterior, scale_offset, min_scale)


def make_mlp_decoder(
    z_dim: int,
    layers: Sequence[int],
    output_shape: Sequence[int],
    likelihood: str = "Bernoulli",
    scale: float | None = None,
    min_scale: float = MIN_SCALE,
) -> nn.Sequential:
    """Make a network from (\\*batch, z_dim) to a likelihood of event shape ``output_shape``.

    Args:
        z_dim: Number of dimensions of the representation.
        layers: Number of units in each hidden layer, from the representation to the example.
        output_shape: Shape of one example.
        likelihood: ``Bernoulli``, ``ContinuousBernoulli``, ``Normal``, ``Laplace`` or ``DiscretizedLogistic``.
        scale: Fixed scale of a likelihood that has one; None for one of each pixel that the network computes.
        min_scale: Smallest scale that the network computes.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, ``likelihood`` is unknown, or has no scale to set.
    """
    sizes = [check_count("z_dim", z_dim), *check_sizes("layers", layers)]
    check_choice("likelihood", likelihood, LIKELIHOODS)
    last = StochasticLinear(sizes[-1], output_shape, likelihood, min_scale=min_scale, scale=scale)
    return nn.Sequential(make_stack(sizes), last)


def make_mlp_categorical_encoder(
    input_shape: Sequence[int], n_latents: int, n_categories: int, layers: Sequence[int]
) -> nn.Sequential:
    """Make a network from (\\*batch, \\*input_shape) to one-hot vectors of event shape (n_latents, n_categories).

    Args:
        input_shape: Shape of one example.
        n_latents: Number of categorical variables.
        n_categories: Number of values of each.
        layers: Number of units in each hidden layer, from the example to the representation.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive.
    """
    flatten = Flatten(input_shape)
    sizes = [flatten.event_shape.numel(), *check_sizes("layers", layers)]
    shape = (check_count("n_latents", n_latents), check_count("n_categories", n_categories))
    return nn.Sequential(flatten, make_stack(sizes), StochasticLinear(sizes[-1], shape, "OneHotCategorical"))


def make_mlp_categorical_decoder(
    n_latents: int, n_categories: int, layers: Sequence[int], output_shape: Sequence[int]
) -> nn.Sequential:
    """Make a network from vectors (\\*batch, n_latents, n_categories) to a Bernoulli distribution over examples.

    Args:
        n_latents: Number of categorical variables.
        n_categories: Number of values of each.
        layers: Number of units in each hidden layer, from the representation to the example.
        output_shape: Shape of one example.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive.
    """
    shape = (check_count("n_latents", n_latents), check_count("n_categories", n_categories))
    return nn.Sequential(Flatten(shape), make_mlp_decoder(prod(shape), layers, output_shape))


def make_mlp_predictor(input_shape: Sequence[int], layers: Sequence[int], n_labels: int) -> nn.Sequential:
    """Make a network from (\\*batch, \\*input_shape) to a categorical distribution over labels.

    Args:
        input_shape: Shape of one example, or of its representation.
        layers: Number of units in each hidden layer; [] makes the network linear.
        n_labels: Number of labels.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive.
    """
    flatten = Flatten(input_shape)
    sizes = [flatten.event_shape.numel(), *check_sizes("layers", layers)]
    return nn.Sequential(flatten, make_stack(sizes), StochasticLinear(sizes[-1], n_labels, "Categorical"))


def make_mlp_generator(z_dim: int, layers: Sequence[int], output_shape: Sequence[int]) -> nn.Sequential:
    """Make a network from (\\*batch, z_dim) to tensors (\\*batch, \\*output_shape) of numbers in [0, 1].

    The hidden layers use batch normalization. Without it, the discriminator wins in the first steps, and the
    generator soon returns the same image for every z.

    Args:
        z_dim: Number of dimensions of the latent variable.
        layers: Number of units in each hidden layer.
        output_shape: Shape of one example.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive.
    """
    sizes = [check_count("z_dim", z_dim), *check_sizes("layers", layers)]
    shape = check_sizes("output_shape", output_shape)
    last = nn.Linear(sizes[-1], prod(shape))
    hidden = [layer for pair in pairwise(sizes) for layer in _make_normalized_layer(*pair)]
    return nn.Sequential(AnyBatch(nn.Sequential(*hidden), 1), last, nn.Sigmoid(), nn.Unflatten(-1, shape))


def _make_normalized_layer(in_features: int, out_features: int) -> tuple[nn.Module, ...]:
    return nn.Linear(in_features, out_features), _BatchNorm(out_features), make_leaky_relu()


class _BatchNorm(nn.BatchNorm1d):
    """Batch normalization with a readable error for a batch of one example."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # the name in torch
        check_normalized_batch(self, input)
        return super().forward(input)


def check_normalized_batch(layer: nn.Module, x: Tensor) -> None:
    """Check that a batch can be normalized.

    Raises:
        ValueError: The layer is in train mode, and the batch has one example.
    """
    if layer.training and len(x) < 2:
        raise ValueError(
            f"Batch normalization needs at least 2 examples in train mode, got {len(x)}; use a larger `batch_size`."
        )


def make_mlp_score(input_shape: Sequence[int], layers: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Make a network from (\\*batch, \\*input_shape) to one number per example, of shape (\\*batch, 1).

    It has no batch normalization, so that each number depends on its own example only.

    Args:
        input_shape: Shape of one example.
        layers: Number of units in each hidden layer.
        dropout: Probability that a unit of a hidden layer is dropped in train mode.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, or ``dropout`` is not in [0, 1).
    """
    if not 0 <= dropout < 1:
        raise ValueError(f"`dropout` must be at least 0 and below 1, got {dropout!r}.")
    flatten = Flatten(input_shape)
    sizes = [flatten.event_shape.numel(), *check_sizes("layers", layers)]
    stack = make_stack(sizes, lambda: nn.Sequential(make_leaky_relu(), nn.Dropout(dropout)))
    return nn.Sequential(flatten, stack, nn.Linear(sizes[-1], 1))
