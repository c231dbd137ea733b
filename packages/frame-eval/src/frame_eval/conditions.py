"""Conditions that a model generates data for, such as labels."""

from collections.abc import Callable, Collection, Mapping
from inspect import Parameter, signature
from typing import Any

import torch
from torch import Tensor

from frame_core import GenerativeModel, Optimization, get_batch, get_split, select_conditions
from frame_eval.device import move_batch_to_model


def read_conditions(optimization: Optimization, split: str, indices: Tensor) -> dict[str, Any]:
    """Return the conditions of examples of a split, on the model's device; empty if the model takes none."""
    model = optimization.model
    assert isinstance(model, GenerativeModel)  # the evaluation requires it
    batch = get_batch(get_split(optimization.data, split), indices)
    return move_batch_to_model(select_conditions(model, batch), model)


def check_conditions(model: GenerativeModel, given: Collection[str]) -> None:
    """Check that the model's ``sample`` needs no further argument.

    Args:
        model: The model.
        given: Names of the arguments that it is given.

    Raises:
        TypeError: An argument is missing.
    """
    sample = model.sample
    _, *parameters = signature(sample).parameters.values()
    for part in parameters:
        if part.default is Parameter.empty and part.kind is not Parameter.VAR_KEYWORD and part.name not in given:
            raise TypeError(
                f"`{sample.__qualname__}` needs `{part.name}`. Set `evaluate_on` to a split whose examples have it."
            )


def check_generation(optimization: Optimization, split: str) -> None:
    """Check that the model's ``sample`` needs nothing that the examples of a split do not have.

    Raises:
        TypeError: A condition is missing.
    """
    assert isinstance(optimization.model, GenerativeModel)  # the evaluation requires it
    check_conditions(optimization.model, read_conditions(optimization, split, torch.arange(1)))


def sample_like(model: GenerativeModel, batch: Mapping[str, Tensor]) -> Tensor:
    """Generate as many examples as a batch has, given its conditions if the model takes any."""
    conditions = select_conditions(model, batch)
    sample: Callable[..., Tensor] = model.sample
    return sample(torch.Size([] if conditions else [len(batch["x"])]), **conditions)
