"""Estimates of the log evidence log p(x) of latent-variable models."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution

from frame_core import check_density, check_shapes, kl_divergence


def compute_bound_terms(
    x: Tensor,
    z: Tensor,
    q_z: Distribution,
    p_z: Distribution,
    decoder: Callable[..., Distribution],
    *conditions: Tensor,
    closed_form: bool = True,
) -> dict[str, Tensor]:
    """Compute the two terms of the negative evidence lower bound, in nats, as `VariationalModel` requires.

    Args:
        x: Data of shape (batch, \\*x_shape).
        z: A sample of the posterior, of shape (batch, \\*z_shape).
        q_z: Posterior of x, of batch shape (batch,).
        p_z: Prior, of an empty batch shape.
        decoder: From z and the conditions to the likelihood of x.
        conditions: Further inputs of the decoder, such as labels, of shape (batch, ...).
        closed_form: Whether the divergence is computed in closed form, if torch has one.

    Raises:
        TypeError: The posterior has no density.
        ValueError: The shapes of the distributions do not match each other or the data.
    """
    check_shapes("encoder", q_z, x.shape[:1], z.shape[1:])
    check_shapes("prior", p_z, torch.Size([]), z.shape[1:])
    p_x = decoder(z, *conditions)
    check_shapes("decoder", p_x, x.shape[:1], x.shape[1:])
    return {
        "reconstruction": -p_x.log_prob(x).mean(),
        "regularization": kl_divergence(q_z, p_z, z, closed_form).mean(),
    }


def compute_log_weights(
    x: Tensor,
    z: Tensor,
    q_z: Distribution,
    p_z: Distribution,
    decoder: Callable[..., Distribution],
    *conditions: Tensor,
) -> Tensor:
    """Compute the log importance weights log p(x, z) - log q(z | x), in nats, of shape (n_samples, batch).

    Args:
        x: Data of shape (batch, \\*x_shape).
        z: Samples of the posterior, of shape (n_samples, batch, \\*z_shape).
        q_z: Posterior of x, of batch shape (batch,).
        p_z: Prior, of an empty batch shape.
        decoder: From z and the conditions to the likelihood of x.
        conditions: Further inputs of the decoder, such as labels, of shape (batch, ...).

    Raises:
        TypeError: The posterior has no density.
        ValueError: The shapes of the distributions do not match each other or the data.
    """
    check_density("An importance weight", q_z)
    check_shapes("encoder", q_z, x.shape[:1], z.shape[2:])
    check_shapes("prior", p_z, torch.Size([]), z.shape[2:])
    repeated_x, *repeated = (_repeat(value, len(z)) for value in (x, *conditions))
    p_x = decoder(z.flatten(0, 1), *repeated)
    check_shapes("decoder", p_x, repeated_x.shape[:1], x.shape[1:])
    log_likelihood = p_x.log_prob(repeated_x).unflatten(0, z.shape[:2])
    return log_likelihood + p_z.log_prob(z) - q_z.log_prob(z)


def _repeat(value: Tensor, n_times: int) -> Tensor:
    return value.expand(n_times, *value.shape).flatten(0, 1)
