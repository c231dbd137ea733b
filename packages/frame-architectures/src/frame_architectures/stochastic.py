"""Layers that return distributions."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Laplace
from torch.nn.functional import softplus

from frame_architectures.categorical import Categorical, UncheckedOneHotCategorical
from frame_architectures.continuous_bernoulli import ContinuousBernoulli
from frame_architectures.discretized_logistic import DiscretizedLogistic
from frame_architectures.normal import Normal
from frame_core import ConditionalDistribution, Delta, check_choice, check_count, check_positive, check_sizes

MIN_SCALE = 1e-3
"""Default of the smallest scale. Without it, the density of a constant pixel would grow without bound."""


class StochasticLinear(ConditionalDistribution):
    """Linear layer from (\\*batch, in_features) to the parameters of a distribution.

    Its parameters and the event shape depend on ``distribution``:

    - ``Normal``, ``Laplace``: location and scale s, out_features
    - ``Delta``: value, out_features
    - ``DiscretizedLogistic``: location and scale s, out_features; over the 256 values of 8-bit images in [0, 1]
    - ``Bernoulli``, ``ContinuousBernoulli``: logits, out_features
    - ``Categorical``: logits over labels in the last dimension, out_features[:-1]
    - ``OneHotCategorical``: logits over categories in the last dimension, out_features

    The scale is softplus(s + scale_offset) + min_scale, or a fixed number.

    Values are not checked against the support, because the check would wait for the GPU. A ``Bernoulli`` therefore
    accepts images in [0, 1]; minus its log density is the binary cross-entropy.

    Args:
        in_features: Size of the last dimension of the condition.
        out_features: Number of dimensions of one example, or its shape, such as (1, 28, 28).
        distribution: One of the names above.
        scale_offset: Offset of the scale before its softplus.
        min_scale: Smallest scale. The log density of a ``Normal`` is at most log(0.4 / min_scale) per dimension.
        scale: Fixed scale; None for one that the layer computes.

    Raises:
        TypeError: A size is not an integer, or ``min_scale`` or ``scale`` is not a number.
        ValueError: A size, ``min_scale`` or ``scale`` is not positive, ``distribution`` is unknown, or an option of the
            scale is set for a distribution without one. A fixed scale has no other options.

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
        scale: float | None = None,
    ) -> None:
        super().__init__()
        self.in_features = check_count("in_features", in_features)
        self.out_shape = torch.Size(as_shape("out_features", out_features))
        self.distribution = check_choice("distribution", distribution, _FAMILIES)
        check_scale(distribution, scale_offset, min_scale, scale)
        self.scale_offset = scale_offset
        self.min_scale = min_scale
        self.scale = scale
        self.n_parameters = count_parameters(distribution, scale)
        self.linear = nn.Linear(self.in_features, self.n_parameters * self.out_shape.numel())

    def forward(self, condition: Tensor) -> Distribution:
        output = self.linear(condition)
        parameters = output.chunk(self.n_parameters, -1) if self.n_parameters > 1 else [output]
        if len(self.out_shape) > 1:
            parameters = [parameter.unflatten(-1, self.out_shape) for parameter in parameters]
        n_batch_dims = condition.ndim - 1
        return make_distribution(
            self.distribution, parameters, n_batch_dims, self.scale_offset, self.min_scale, self.scale
        )

    def extra_repr(self) -> str:
        offset = f", scale_offset={self.scale_offset}" if self.scale_offset else ""
        minimum = f", min_scale={self.min_scale}" if self.min_scale != MIN_SCALE else ""
        fixed = f", scale={self.scale}" if self.scale is not None else ""
        return f"out_shape={tuple(self.out_shape)}, distribution={self.distribution!r}{offset}{minimum}{fixed}"


def check_scale(name: str, scale_offset: float, min_scale: float, scale: float | None) -> None:
    """Check the options of the scale of a distribution.

    Args:
        name: One of the names in `StochasticLinear`.
        scale_offset: Offset of the scale before its softplus.
        min_scale: Smallest scale.
        scale: Fixed scale, or None.

    Raises:
        TypeError: ``min_scale`` or ``scale`` is not a number.
        ValueError: ``min_scale`` or ``scale`` is not positive, an option is set for a distribution without a scale, or
            another one for a fixed scale.
    """
    check_positive("min_scale", min_scale)
    is_computed = (scale_offset, min_scale) != (0.0, MIN_SCALE)
    if "scale" not in _FAMILIES[name].parameters and (is_computed or scale is not None):
        raise ValueError(
            "`scale_offset`, `min_scale` and `scale` need a distribution with a scale, and "
            f"{name!r} has none; leave them out."
        )
    if scale is not None:
        check_positive("scale", scale)
        if is_computed:
            raise ValueError("`scale_offset` and `min_scale` need a scale that is computed; leave out them or `scale`.")


def count_parameters(name: str, scale: float | None = None) -> int:
    """Return the number of parameters of a distribution, without a fixed scale.

    Args:
        name: One of the names in `StochasticLinear`.
        scale: Fixed scale, or None.
    """
    return len(_FAMILIES[name].parameters) - (scale is not None)


def make_distribution(
    name: str,
    parameters: Sequence[Tensor],
    n_batch_dims: int,
    scale_offset: float = 0.0,
    min_scale: float = MIN_SCALE,
    scale: float | None = None,
) -> Distribution:
    """Make a distribution from the unconstrained outputs of a network.

    Args:
        name: One of the names in `StochasticLinear`.
        parameters: The parameters listed there, without a fixed scale, each of shape (\\*batch, \\*out_shape).
        n_batch_dims: Number of dimensions of the batch. The others are those of one example.
        scale_offset: Offset of the scale before its softplus.
        min_scale: Smallest scale.
        scale: Fixed scale, or None.
    """
    family = _FAMILIES[name]
    if scale is not None:
        parameters = (parameters[0], torch.full_like(parameters[0], scale))
    elif "scale" in family.parameters:
        location, raw_scale = parameters
        raw_scale = raw_scale + scale_offset if scale_offset else raw_scale
        parameters = (location, softplus(raw_scale) + min_scale)
    distribution = family.build(*parameters)
    n_event_dims = len(distribution.batch_shape) - n_batch_dims
    if isinstance(distribution, Delta):
        return Delta(distribution.value, n_event_dims)
    return Independent(distribution, n_event_dims, validate_args=False) if n_event_dims else distribution


class _Family(NamedTuple):
    parameters: tuple[str, ...]
    build: Callable[..., Distribution]


def _build_normal(location: Tensor, scale: Tensor) -> Distribution:
    return Normal(location, scale, validate_args=False)


def _build_laplace(location: Tensor, scale: Tensor) -> Distribution:
    return Laplace(location, scale, validate_args=False)


def _build_discretized_logistic(location: Tensor, scale: Tensor) -> Distribution:
    return DiscretizedLogistic(location, scale)


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
    "DiscretizedLogistic": _Family(("location", "scale"), _build_discretized_logistic),
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
