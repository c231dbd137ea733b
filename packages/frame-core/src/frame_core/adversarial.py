"""What models of two parts against one another share."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from frame_core.distributions import check_shapes, get_mean


def call_frozen(module: nn.Module, *inputs: Tensor) -> Any:
    """Call a module so that a gradient goes through it to its inputs, and to none of its parameters."""
    parameters = {name: parameter.detach() for name, parameter in module.named_parameters()}
    return functional_call(module, parameters, inputs)


def generate_like(x: Tensor, generator: nn.Module, prior: nn.Module) -> Tensor:
    """Generate as many data as a batch has, from the means of p(x | z) at draws z of the prior.

    Args:
        x: Data of shape (batch, \\*x_shape).
        generator: From z of shape (batch, \\*z_shape) to an event of shape (\\*x_shape,).
        prior: Marginal p(z), an event of shape (\\*z_shape,); no gradient reaches it.

    Returns:
        Tensor of the shape of ``x``.

    Raises:
        TypeError: The generator's distribution has no mean.
        ValueError: The generator's distribution does not fit the data.
    """
    p_x = generator(prior().sample(x.shape[:1]))
    check_shapes("generator", p_x, x.shape[:1], x.shape[1:])
    return get_mean(p_x, "generator")


def check_scores(part: str, scores: Tensor, x: Tensor) -> Tensor:
    """Give back the scores of a batch, one number for each datum.

    Raises:
        ValueError: They have another shape than (batch,).
    """
    if scores.shape != x.shape[:1]:
        raise ValueError(f"`{part}` must give a tensor of shape {tuple(x.shape[:1])}, got {tuple(scores.shape)}.")
    return scores


def add_losses(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Add the losses of several parts of a model.

    Args:
        parts: What each part gives in the manner of `Model.compute_loss`, by its name.

    Returns:
        ``loss``, the sum of the losses, and each quantity of a part, detached, as ``<part>_<quantity>``.
    """
    loss = torch.stack([quantities["loss"] for quantities in parts.values()]).sum()
    logged = {
        f"{part}_{name}": value.detach() for part, quantities in parts.items() for name, value in quantities.items()
    }
    return {"loss": loss, **logged}
