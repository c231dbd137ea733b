"""Several models trained on the sum of their losses."""

from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn

from frame_core.adversarial import add_losses
from frame_core.models import Model


class JointModel(Model):
    """Several models trained on the sum of their losses. They may share components.

    Args:
        models: The models by name.

    Raises:
        ValueError: There are fewer than two models.
    """

    def __init__(self, models: Mapping[str, Model]) -> None:
        super().__init__()
        if len(models) < 2:
            raise ValueError(f"`models` must be two or more, got {list(models)}.")
        self.models = nn.ModuleDict(models)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the sum of the losses, and each quantity of each model as ``<name>_<quantity>``."""
        models = cast(Mapping[str, Model], self.models)
        return add_losses({name: model.compute_loss(data, data_idx) for name, model in models.items()})
