"""Modules that return distributions, and the divergence between two distributions."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, constraints


class ConditionalDistribution(nn.Module):
    """A distribution that depends on conditions, such as an encoder q(z | x).

    ``forward(*conditions)`` takes tensors of shape (\\*batch, \\*condition_shape) and returns a
    `torch.distributions.Distribution` whose ``batch_shape`` is (\\*batch,) and whose ``event_shape``
    is the shape of one datum: wrap elementwise distributions in `torch.distributions.Independent`.

    The class states the contract; any module that behaves so is accepted wherever a
    conditional distribution is asked for, zuko's lazy distributions among them.
    """

    forward: Callable[..., Distribution]
    __call__: Callable[..., Distribution]


class MarginalDistribution(nn.Module):
    """A distribution without conditions, such as a prior p(z).

    ``forward()`` returns a `torch.distributions.Distribution` with an empty ``batch_shape`` whose
    ``event_shape`` is the shape of one datum.
    """

    forward: Callable[[], Distribution]
    __call__: Callable[[], Distribution]


def kl_divergence(q: Distribution, p: Distribution, z: Tensor) -> Tensor:
    """Kullback-Leibler divergence KL(q || p), in nats.

    In closed form where torch registers one for the pair; otherwise the Monte Carlo estimate
    log q(z) - log p(z), whose gradient reaches the parameters of ``q`` through ``z`` as well.

    Args:
        q: Distribution with batch shape (batch,).
        p: Distribution whose batch shape broadcasts with that of ``q``.
        z: Samples of ``q``, of shape (batch, \\*event_shape).

    Returns:
        Tensor of shape (batch,).

    Raises:
        TypeError: One of them has no density, as a `Delta`.
    """
    for distribution in (q, p):
        if isinstance(distribution, Delta):
            raise TypeError(
                "The divergence of two distributions needs densities, and a `Delta` has none: take a stochastic one, "
                "such as an encoder with `posterior='Normal'`."
            )
    try:
        return torch.distributions.kl_divergence(q, p)
    except NotImplementedError:
        return q.log_prob(z) - p.log_prob(z)


def reparametrize(q: Distribution, part: str, sample_shape: torch.Size = torch.Size([])) -> Tensor:
    """Sample from a distribution so that the gradient reaches its parameters.

    Args:
        q: Distribution of batch shape (batch,).
        part: Name of the part of the model that gave it, for the message.
        sample_shape: Shape of the set of samples.

    Returns:
        Tensor of shape (\\*sample_shape, batch, \\*event_shape).

    Raises:
        TypeError: The distribution can't be reparametrised.
    """
    if not q.has_rsample:
        raise TypeError(f"`{part}` must give a distribution that can be reparametrised (`has_rsample`), got {q!r}.")
    return q.rsample(sample_shape)


def sample_or_mean(distribution: Distribution, option: str, sample: bool) -> Tensor:
    """Give a sample of a distribution, or its mean.

    Args:
        distribution: The distribution.
        option: Name of the option that decides, for the message.
        sample: Whether to sample.

    Raises:
        TypeError: The mean is asked for, and there is none, as of a normalizing flow.
    """
    if sample:
        return distribution.sample()
    try:
        return distribution.mean
    except NotImplementedError:
        raise TypeError(f"`{type(distribution).__name__}` has no mean to give: set `{option}` to True.") from None


def get_mean(distribution: Distribution, part: str) -> Tensor:
    """Give the mean of a distribution that is needed for nothing else.

    Args:
        distribution: The distribution.
        part: Name of the part of the model that gave it, for the message.

    Raises:
        TypeError: There is none, as of a normalizing flow.
    """
    try:
        return distribution.mean
    except NotImplementedError:
        raise TypeError(f"`{part}` must give a distribution that has a mean, got {distribution!r}.") from None


def check_shapes(part: str, distribution: Distribution, batch_shape: torch.Size, event_shape: torch.Size) -> None:
    """Refuse a distribution that would broadcast into a wrong loss, above all one that lacks an `Independent`.

    Args:
        part: Name of the part of the model that gave the distribution, for the message.
        distribution: The distribution.
        batch_shape: The batch shape it must have.
        event_shape: The event shape it must have.

    Raises:
        ValueError: It has others.
    """
    if (distribution.batch_shape, distribution.event_shape) != (batch_shape, event_shape):
        raise ValueError(
            f"`{part}` must give a distribution of batch shape {tuple(batch_shape)} and event shape "
            f"{tuple(event_shape)}, got {tuple(distribution.batch_shape)} and {tuple(distribution.event_shape)}; "
            "`torch.distributions.Independent` makes the dimensions of one datum part of the event."
        )


class Delta(Distribution):
    """All mass on one value: what a deterministic network gives where a distribution is asked for.

    Args:
        value: The value, of shape (\\*batch, \\*event_shape).
        event_dim: Number of dimensions of one datum.
    """

    has_rsample = True

    def __init__(self, value: Tensor, event_dim: int) -> None:
        self.value = value
        n_batch_dims = value.ndim - event_dim
        super().__init__(value.shape[:n_batch_dims], value.shape[n_batch_dims:], validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        return {}

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.real, len(self.event_shape))

    @property
    def mean(self) -> Tensor:
        return self.value

    @property
    def variance(self) -> Tensor:
        return torch.zeros_like(self.value)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.rsample(sample_shape).detach()  # a view made without gradient may carry one all the same

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.value.expand(*sample_shape, *self.value.shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log mass: 0 at the value, minus infinity elsewhere; it carries no gradient."""
        same = value == self.value
        n_event_dims = len(self.event_shape)
        equal = same.flatten(-n_event_dims).all(-1) if n_event_dims else same
        return torch.where(equal, 0.0, -torch.inf)
