"""Layers from tensors to distributions."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import (
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    Distribution,
    Independent,
    Laplace,
    Normal,
)
from torch.nn.functional import softplus

from frame_architectures.sizes import check_size, check_sizes
from frame_core import ConditionalDistribution

MIN_SCALE = 1e-6
"""Floor of a scale, so that a density stays finite."""


class StochasticLinear(ConditionalDistribution):
    """A linear layer to the parameters of a distribution, from (\\*batch, in_features).

    =======================  ==============================================  =======================
    ``distribution``         parameters                                      event shape
    =======================  ==============================================  =======================
    ``Normal``               location, scale (softplus)                      out_features
    ``Laplace``              location, scale (softplus)                      out_features
    ``Bernoulli``            logits                                          out_features
    ``ContinuousBernoulli``  logits                                          out_features
    ``Categorical``          logits, over labels in the last dimension       out_features[:-1]
    =======================  ==============================================  =======================

    Values are not checked against the support, which makes a GPU wait: a ``Bernoulli`` takes
    pictures in [0, 1] too, with the binary cross-entropy for minus its log-density.

    Args:
        in_features: Size of the last dimension of the condition.
        out_features: Number of dimensions of one datum, or its shape, such as (1, 28, 28).
        distribution: One of the names above.

    Raises:
        TypeError: A size is no integer.
        ValueError: A size is not positive, or there is no such distribution.

    References:
        The continuous Bernoulli: fixing a pervasive error in variational autoencoders
        (Loaiza-Ganem & Cunningham, 2019), https://arxiv.org/abs/1907.06845

    >>> p_x = StochasticLinear(128, (1, 28, 28), "Bernoulli")(torch.zeros(5, 128))
    >>> p_x.batch_shape, p_x.event_shape
    (torch.Size([5]), torch.Size([1, 28, 28]))
    """

    def __init__(self, in_features: int, out_features: int | Sequence[int], distribution: str) -> None:
        super().__init__()
        self.in_features = check_size("in_features", in_features)
        self.out_shape = torch.Size(_as_shape(out_features))
        self.distribution = _check_distribution(distribution)
        n_parameters = _FAMILIES[distribution].n_parameters
        self.linear = nn.Linear(self.in_features, n_parameters * self.out_shape.numel())

    def forward(self, condition: Tensor) -> Distribution:
        family = _FAMILIES[self.distribution]
        n_batch_dims = condition.ndim - 1
        parameters = self.linear(condition).unflatten(-1, (family.n_parameters, *self.out_shape))
        distribution = family.build(*parameters.unbind(n_batch_dims))
        n_event_dims = len(distribution.batch_shape) - n_batch_dims
        return Independent(distribution, n_event_dims, validate_args=False) if n_event_dims else distribution

    def extra_repr(self) -> str:
        return f"out_shape={tuple(self.out_shape)}, distribution={self.distribution!r}"


class _Family(NamedTuple):
    n_parameters: int
    build: Callable[..., Distribution]


def _build_normal(location: Tensor, scale: Tensor) -> Distribution:
    return Normal(location, softplus(scale) + MIN_SCALE, validate_args=False)


def _build_laplace(location: Tensor, scale: Tensor) -> Distribution:
    return Laplace(location, softplus(scale) + MIN_SCALE, validate_args=False)


def _build_bernoulli(logits: Tensor) -> Distribution:
    return Bernoulli(logits=logits, validate_args=False)


def _build_continuous_bernoulli(logits: Tensor) -> Distribution:
    return ContinuousBernoulli(logits=logits, validate_args=False)


def _build_categorical(logits: Tensor) -> Distribution:
    return Categorical(logits=logits, validate_args=False)


_FAMILIES = {
    "Normal": _Family(2, _build_normal),
    "Laplace": _Family(2, _build_laplace),
    "Bernoulli": _Family(1, _build_bernoulli),
    "ContinuousBernoulli": _Family(1, _build_continuous_bernoulli),
    "Categorical": _Family(1, _build_categorical),
}


def _as_shape(out_features: int | Sequence[int]) -> tuple[int, ...]:
    if isinstance(out_features, str) or not isinstance(out_features, Sequence):
        return (check_size("out_features", out_features),)
    if not out_features:
        raise ValueError("`out_features` must hold at least one size, got none.")
    return check_sizes("out_features", out_features)


def _check_distribution(name: str) -> str:
    if name not in _FAMILIES:
        nearest = get_close_matches(name, _FAMILIES, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
        raise ValueError(f"`distribution` must be one of {', '.join(map(repr, _FAMILIES))}, got {name!r}{hint}")
    return name
