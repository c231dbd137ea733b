"""Modules that return distributions, and functions of distributions."""

from collections.abc import Callable, Sequence
from contextlib import suppress

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, constraints


class ConditionalDistribution(nn.Module):
    """A distribution that depends on conditions, such as an encoder q(z | x).

    ``forward(*conditions)`` takes tensors of shape (\\*batch, \\*condition_shape) and returns a
    `torch.distributions.Distribution` whose ``batch_shape`` is (\\*batch,) and whose ``event_shape``
    is the shape of one example. Wrap elementwise distributions in `torch.distributions.Independent`.

    This class documents the contract. Deriving from it is optional: any module with such a ``forward`` is
    accepted, for example a lazy distribution of zuko.
    """

    forward: Callable[..., Distribution]
    __call__: Callable[..., Distribution]


class MarginalDistribution(nn.Module):
    """A distribution without conditions, such as a prior p(z).

    ``forward()`` returns a `torch.distributions.Distribution` with an empty ``batch_shape`` whose
    ``event_shape`` is the shape of one example.
    """

    forward: Callable[[], Distribution]
    __call__: Callable[[], Distribution]


def kl_divergence(q: Distribution, p: Distribution, z: Tensor, closed_form: bool = True) -> Tensor:
    """Compute the Kullback-Leibler divergence KL(q || p), in nats.

    Uses the closed form if torch registers one for the pair. Otherwise it is the Monte Carlo estimate
    log q(z) - log p(z), whose gradient also reaches the parameters of ``q`` through ``z``.

    Args:
        q: Distribution with batch shape (batch,).
        p: Distribution whose batch shape broadcasts with that of ``q``.
        z: Samples of ``q``, of shape (batch, \\*event_shape).
        closed_form: Whether to use the closed form if there is one. If False, always estimate.

    Returns:
        Tensor of shape (batch,).

    Raises:
        TypeError: One of the two is a `Delta`, which has no density.
    """
    for distribution in (q, p):
        check_density("The KL divergence", distribution)
    if closed_form:
        with suppress(NotImplementedError):
            return torch.distributions.kl_divergence(q, p)
    return q.log_prob(z) - p.log_prob(z)


def check_density(quantity: str, distribution: Distribution) -> None:
    """Check that a distribution has a density.

    Args:
        quantity: What is computed from the density, for the error message.
        distribution: The distribution.

    Raises:
        TypeError: The distribution is a `Delta`.
    """
    if isinstance(distribution, Delta):
        raise TypeError(
            f"{quantity} needs distributions with a density, and a `Delta` has no density. "
            "Use a stochastic distribution, such as an encoder with `posterior='Normal'`."
        )


def reparametrize(q: Distribution, part: str, sample_shape: torch.Size = torch.Size([])) -> Tensor:
    """Sample from a distribution so that the gradient reaches its parameters.

    Args:
        q: Distribution of batch shape (batch,).
        part: Name of the part of the model that returned it, for the error message.
        sample_shape: Leading dimensions of the samples.

    Returns:
        Tensor of shape (\\*sample_shape, batch, \\*event_shape).

    Raises:
        TypeError: The distribution cannot be reparameterized.
    """
    if not q.has_rsample:
        raise TypeError(f"`{part}` must return a distribution that can be reparameterized (`has_rsample`), got {q!r}.")
    return q.rsample(sample_shape)


def sample_or_mean(distribution: Distribution, option: str, sample: bool) -> Tensor:
    """Return a sample of a distribution, or its mean.

    Args:
        distribution: The distribution.
        option: Name of the option that chooses between the two, for the error message.
        sample: Whether to sample.

    Raises:
        TypeError: ``sample`` is False and the distribution has no mean, as for a normalizing flow.
    """
    if sample:
        return distribution.sample()
    try:
        return distribution.mean
    except NotImplementedError:
        raise TypeError(f"`{type(distribution).__name__}` has no mean: set `{option}` to True to sample.") from None


def get_mean(distribution: Distribution, part: str) -> Tensor:
    """Return the mean of a distribution.

    Args:
        distribution: The distribution.
        part: Name of the part of the model that returned it, for the error message.

    Raises:
        TypeError: The distribution has no mean, as for a normalizing flow.
    """
    try:
        return distribution.mean
    except NotImplementedError:
        raise TypeError(f"`{part}` must return a distribution that has a mean, got {distribution!r}.") from None


def get_elementwise(distribution: Distribution, part: str) -> Distribution:
    """Return the distribution of each dimension of an example, if the dimensions are independent.

    Args:
        distribution: Distribution of batch shape (\\*batch,) and event shape (\\*event_shape,).
        part: Name of the part of the model that returned it, for the error message.

    Returns:
        Distribution of batch shape (\\*batch, \\*event_shape) and an empty event shape.

    Raises:
        TypeError: The distribution is not an `Independent` of such a distribution, or it is a `Delta`.
    """
    check_density("An independent dimension", distribution)
    if isinstance(distribution, Independent) and not distribution.base_dist.event_shape:
        return distribution.base_dist
    raise TypeError(
        f"`{part}` must return a distribution with independent dimensions (`torch.distributions.Independent` of "
        f"numbers), got a `{type(distribution).__name__}`."
    )


def check_shapes(part: str, distribution: Distribution, batch_shape: torch.Size, event_shape: torch.Size) -> None:
    """Check the shapes of a distribution, so that it does not broadcast into a wrong loss.

    The usual mistake is an elementwise distribution that lacks an `Independent`.

    Args:
        part: Name of the part of the model that returned the distribution, for the error message.
        distribution: The distribution.
        batch_shape: The batch shape it must have.
        event_shape: The event shape it must have.

    Raises:
        ValueError: The distribution has another batch shape or event shape.
    """
    if (distribution.batch_shape, distribution.event_shape) != (batch_shape, event_shape):
        raise ValueError(
            f"`{part}` must return a distribution of batch shape {tuple(batch_shape)} and event shape "
            f"{tuple(event_shape)}, got {tuple(distribution.batch_shape)} and {tuple(distribution.event_shape)}; "
            "use `torch.distributions.Independent` to make the dimensions of one example part of the event."
        )


class Delta(Distribution):
    """Distribution with all its mass on one value: the output of a deterministic network.

    Args:
        value: The value, of shape (\\*batch, \\*event_shape).
        event_dim: Number of dimensions of one example.
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
        return self.rsample(sample_shape).detach()  # a view made under `no_grad` may still require a gradient

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.value.expand(*sample_shape, *self.value.shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log mass: 0 at the value, minus infinity elsewhere. It carries no gradient."""
        same = value == self.value
        n_event_dims = len(self.event_shape)
        equal = same.flatten(-n_event_dims).all(-1) if n_event_dims else same
        return torch.where(equal, 0.0, -torch.inf)
