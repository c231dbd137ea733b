"""Detection of losses and weights that are not finite."""

import math
from collections.abc import Mapping

from pytorch_lightning import LightningModule, Trainer

from frame_train.errors import TrainingError


def is_finite(module: LightningModule) -> bool:
    """Return whether all weights are finite."""
    return all(bool(value.isfinite().all()) for value in module.state_dict().values())


def check_losses(means: Mapping[str, float], trainer: Trainer, since: int) -> None:
    """Check that the losses among the means of training quantities are finite.

    Args:
        means: The means.
        trainer: The trainer.
        since: The global step at which the means begin.

    Raises:
        TrainingError: A loss is not finite. The message names the terms and the first parameter that are not finite.
    """
    losses = [name for name in means if name == "loss" or name.endswith("_loss")]
    if all(math.isfinite(means[name]) for name in losses):
        return
    terms = ", ".join(f"`{name}` is {value}" for name, value in means.items() if not math.isfinite(value))
    parameters = trainer.lightning_module.named_parameters()
    first = next((f"`{name}`" for name, value in parameters if not bool(value.isfinite().all())), "none")
    raise TrainingError(
        f"The loss is not finite between the global steps {since} and {trainer.global_step}: {terms}. "
        f"The first parameter that is not finite: {first}."
    )
