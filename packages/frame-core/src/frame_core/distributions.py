"""Modules that return distributions, and the divergence between two distributions."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Distribution


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
    """
    try:
        return torch.distributions.kl_divergence(q, p)
    except NotImplementedError:
        return q.log_prob(z) - p.log_prob(z)
