"""What holds for the present machine, wherever a run was trained."""

from omegaconf import DictConfig

from frame_train.composition.compose import compose_config
from frame_train.composition.explanation import EXPLAINED, explain
from frame_train.errors import CompositionError


def read_device() -> DictConfig:
    """Read the device option of this machine: ``DEVICE_NAME`` names it, as for `train`.

    Raises:
        CompositionError: There is no such option.
    """
    try:
        return compose_config(()).device
    except EXPLAINED as error:
        raise CompositionError(explain(error, ())) from error
