"""Layers that return distributions."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Independent,
    Laplace,
    Normal,
    OneHotCategorical,
)
from torch.nn.functional import softplus

from frame_architectures.continuous_bernoulli import ContinuousBernoulli
from frame_core import ConditionalDistribution, Delta, check_choice, check_count, check_positive, check_sizes

MIN_SCALE = 1e-3
"""Default of the smallest scale. Without it, the density of a constant pixel would grow without bound."""


class StochasticLinear(ConditionalDistribution):
    """Linear layer from (\\*batch, in_features) to the parameters of a distribution.

    Its parameters and the event shape depend on ``distribution``:

    - ``Normal``, ``Laplace``: location and scale s, out_features
    - ``Delta``: value, out_features
    - ``Bernoulli``, ``ContinuousBernoulli``: logits, out_features
    - ``Categorical``: logits over labels in the last dimension, out_features[:-1]
    - ``OneHotCategorical``: logits over categories in the last dimension, out_features

    The scale is softplus(s + scale_offset) + min_scale.

    Values are not checked against the support, because the check would wait for the GPU. A ``Bernoulli`` therefore
    accepts images in [0, 1]; minus its log density is the binary cross-entropy.

    Args:
        in_features: Size of the last dimension of the condition.
        out_features: Number of dimensions of one example, or its shape, such as (1, 28, 28).
        distribution: One of the names above.
        scale_offset: Offset of the scale before its softplus.
        min_scale: Smallest scale. The log density of a ``Normal`` is at most log(0.4 / min_scale) per dimension.

    Raises:
        TypeError: A size is not an integer, or ``min_scale`` is not a number.
        ValueError: A size or ``min_scale`` is not positive, ``distribution`` is unknown, or ``scale_offset`` or
            ``min_scale`` is set for a distribution without a scale.

    References:
        The continuous Bernoulli: fixing a pervasive error in variational autoencoders
        (Loaiza-Ganem & Cunningham, 2019), https://arxiv.org/abs/1907.06845

    >>> p_x = StochasticLinear(128, (1, 28, 28), "Bernoulli")(torch.zeros(5, 128))
    >>> p_x.batch_shape, p_x.event_shape
    (torch.Size([5]), torch.Size([1, 28, 28]))
    """

    def __init__(
        self,
        in_features: int,
        out_features: int | Sequence[int],
        distribution: str,
        scale_offset: float = 0.0,
        min_scale: float = MIN_SCALE,
    ) -> None:
        super().__init__()
        self.in_features = check_count("in_features", in_features)
        self.out_shape = torch.Size(as_shape("out_features", out_features))
        self.distribution = check_choice("distribution", distribution, _FAMILIES)
        if "scale" not in _FAMILIES[distribution].parameters and (scale_offset, min_scale) != (0.0, MIN_SCALE):
            raise ValueError(
                f"`scale_offset` and `min_scale` need a distribution with a scale, and {distribution!r} has none; "
                "leave them out."
            )
        self.scale_offset = scale_offset
        self.min_scale = check_positive("min_scale", min_scale)
        n_parameters = len(_FAMILIES[distribution].parameters)
        self.linear = nn.Linear(self.in_features, n_parameters * self.out_shape.numel())

    def forward(self, condition: Tensor) -> Distribution:
        n_batch_dims = condition.ndim - 1
        n_parameters = len(_FAMILIES[self.distribution].parameters)
        output = self.linear(condition).unflatten(-1, (n_parameters, *self.out_shape))
        # `squeeze` is a view, whose gradient is free; the gradient of `unbind` is a copy
        parameters = output.unbind(n_batch_dims) if n_parameters > 1 else [output.squeeze(n_batch_dims)]
        return make_distribution(self.distribution, parameters, n_batch_dims, self.scale_offset, self.min_scale)

    def extra_repr(self) -> str:
        offset = f", scale_offset={self.scale_offset}" if self.scale_offset else ""
        minimum = f", min_scale={self.min_scale}" if self.min_scale != MIN_SCALE else ""
        return f"out_shape={tuple(self.out_shape)}, distribution={self.distribution!r}{offset}{minimum}"


def make_distribution(
    name: str,
    parameters: Sequence[Tensor],
    n_batch_dims: int,
    scale_offset: float = 0.0,
    min_scale: float = MIN_SCALE,
) -> Distribution:
    """Make a distribution from the unconstrained outputs of a network.

    Args:
        name: One of the names in `StochasticLinear`.
        parameters: The parameters listed there, each of shape (\\*batch, \\*out_shape).
        n_batch_dims: Number of dimensions of the batch. The others are those of one example.
        scale_offset: Offset of the scale before its softplus.
        min_scale: Smallest scale.
    """
    family = _FAMILIES[name]
    if "scale" in family.parameters:
        location, scale = parameters
        raw_scale = scale + scale_offset if scale_offset else scale
        parameters = (location, softplus(raw_scale) + min_scale)
    distribution = family.build(*parameters)
    n_event_dims = len(distribution.batch_shape) - n_batch_dims
    if isinstance(distribution, Delta):
        return Delta(distribution.value, n_event_dims)
    return Independent(distribution, n_event_dims, validate_args=False) if n_event_dims else distribution


class UncheckedOneHotCategorical(OneHotCategorical):
    """`OneHotCategorical` that does not check its logits. Torch checks them always, and waits for the GPU.

    Args:
        logits: Tensor of shape (\\*batch, n_categories).
    """

    def __init__(self, logits: Tensor) -> None:
        self._categorical = Categorical(logits=logits, validate_args=False)
        Distribution.__init__(self, logits.shape[:-1], logits.shape[-1:], validate_args=False)


class _Family(NamedTuple):
    parameters: tuple[str, ...]
    build: Callable[..., Distribution]


def _build_normal(location: Tensor, scale: Tensor) -> Distribution:
    return Normal(location, scale, validate_args=False)


def _build_laplace(location: Tensor, scale: Tensor) -> Distribution:
    return Laplace(location, scale, validate_args=False)


def _build_bernoulli(logits: Tensor) -> Distribution:
    return Bernoulli(logits=logits, validate_args=False)


def _build_continuous_bernoulli(logits: Tensor) -> Distribution:
    return ContinuousBernoulli(logits)


def _build_categorical(logits: Tensor) -> Distribution:
    return Categorical(logits=logits, validate_args=False)


def _build_one_hot_categorical(logits: Tensor) -> Distribution:
    return UncheckedOneHotCategorical(logits)


def _build_delta(value: Tensor) -> Distribution:
    return Delta(value, 0)


_FAMILIES = {
    "Normal": _Family(("location", "scale"), _build_normal),
    "Laplace": _Family(("location", "scale"), _build_laplace),
    "Delta": _Family(("value",), _build_delta),
    "Bernoulli": _Family(("logits",), _build_bernoulli),
    "ContinuousBernoulli": _Family(("logits",), _build_continuous_bernoulli),
    "Categorical": _Family(("logits",), _build_categorical),
    "OneHotCategorical": _Family(("logits",), _build_one_hot_categorical),
}


def as_shape(name: str, sizes: int | Sequence[int]) -> tuple[int, ...]:
    """Return the shape of one example, given it or the number of its dimensions.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, or there is none.
    """
    if isinstance(sizes, str) or not isinstance(sizes, Sequence):
        return (check_count(name, sizes),)
    if not sizes:
        raise ValueError(f"`{name}` must have at least one entry, got none.")
    return check_sizes(name, sizes)
