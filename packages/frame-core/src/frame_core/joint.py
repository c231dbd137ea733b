"""Several models trained on a weighted sum of their losses."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from frame_core.adversarial import add_losses
from frame_core.checks import check_choice, check_positive
from frame_core.models import Model
from frame_core.quantities import as_tensors


class JointModel(Model):
    """Several models trained on a weighted sum of their losses. They may share components.

    Args:
        models: The models by name.
        weights: The weight of a model's loss in the sum, by name; 1 for a model that is not named.

    Raises:
        TypeError: A weight is not a number.
        ValueError: There are fewer than two models, a weight is not positive and finite, or no model has its name.
    """

    def __init__(self, models: Mapping[str, Model], weights: Mapping[str, float] | None = None) -> None:
        super().__init__()
        if len(models) < 2:
            raise ValueError(f"`models` must be two or more, got {list(models)}.")
        self.models = nn.ModuleDict(models)
        self._weights = dict.fromkeys(models, 1.0)
        for name, weight in (weights or {}).items():
            self._weights[check_choice("weights", name, models)] = check_positive(f"weights.{name}", weight)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the weighted sum of the losses, and each quantity of each model as ``<name>_<quantity>``."""
        models = cast(Mapping[str, Model], self.models)
        parts = {name: as_tensors(model.compute_loss(data, data_idx)) for name, model in models.items()}
        losses = [self._weights[name] * quantities["loss"] for name, quantities in parts.items()]
        return {**add_losses(parts), "loss": torch.stack(losses).sum()}
