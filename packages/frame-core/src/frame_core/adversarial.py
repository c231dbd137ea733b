"""Shared functions of adversarial models."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from frame_core.distributions import check_shapes, get_mean
from frame_core.models import AdversarialModel
from frame_core.quantities import as_tensors


def call_frozen(module: nn.Module, *inputs: Tensor) -> Any:
    """Call a module so that gradients reach its inputs, but not its parameters."""
    parameters = {name: parameter.detach() for name, parameter in module.named_parameters()}
    return functional_call(module, parameters, inputs)


def generate_like(x: Tensor, generator: nn.Module, prior: nn.Module) -> Tensor:
    """Generate as many examples as a batch has: the means of p(x | z) at samples z of the prior.

    Args:
        x: Data of shape (batch, \\*x_shape).
        generator: From z of shape (batch, \\*z_shape) to an event of shape (\\*x_shape,).
        prior: Marginal p(z), an event of shape (\\*z_shape,). No gradient reaches it.

    Returns:
        Tensor of the shape of ``x``.

    Raises:
        TypeError: The generator's distribution has no mean.
        ValueError: The shapes of the generator's distribution do not match the data.
    """
    p_x = generator(prior().sample(x.shape[:1]))
    check_shapes("generator", p_x, x.shape[:1], x.shape[1:])
    return get_mean(p_x, "generator")


def check_scores(part: str, scores: Tensor, x: Tensor) -> Tensor:
    """Return the scores of a batch if there is one number per example.

    Args:
        part: Name of the part of the model that returned the scores, for the error message.
        scores: The scores.
        x: Examples of shape (batch, \\*x_shape).

    Raises:
        ValueError: ``scores`` does not have shape (batch,).
    """
    if scores.shape != x.shape[:1]:
        raise ValueError(f"`{part}` must return a tensor of shape {tuple(x.shape[:1])}, got {tuple(scores.shape)}.")
    return scores


def add_losses(parts: Mapping[str, Mapping[str, Tensor | float]]) -> dict[str, Tensor]:
    """Add the losses of several parts of a model.

    Args:
        parts: The quantities of each part, by its name, in the format of `Model.compute_loss`.

    Returns:
        ``loss``, the sum of the losses, and each quantity of each part, detached, as ``<part>_<quantity>``.
    """
    computed = {part: as_tensors(quantities) for part, quantities in parts.items()}
    loss = torch.stack([quantities["loss"] for quantities in computed.values()]).sum()
    logged = {
        f"{part}_{name}": value.detach() for part, quantities in computed.items() for name, value in quantities.items()
    }
    return {"loss": loss, **logged}


def compute_adversarial_loss(model: AdversarialModel, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
    """Compute the sum of both losses of an adversarial model, for its `compute_loss`.

    Returns:
        ``loss``, and each quantity of a part, detached, as ``generator_<quantity>`` or ``discriminator_<quantity>``.
    """
    return add_losses(
        {
            "generator": model.compute_generator_loss(data, data_idx),
            "discriminator": model.compute_discriminator_loss(data, data_idx),
        }
    )
