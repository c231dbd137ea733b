"""What holds for the present machine, wherever a run was trained."""

import os

from omegaconf import DictConfig, OmegaConf

from frame_train.errors import CompositionError, suggest
from frame_train.settings import config_directory


def read_device() -> DictConfig:
    """Read the device option of this machine: ``DEVICE_NAME`` names it, as for `train`.

    Raises:
        CompositionError: There is no such option.
    """
    name = os.environ.get("DEVICE_NAME", "default")
    options = {path.stem: path for path in sorted((config_directory() / "device").glob("*.yaml"))}
    if name not in options:
        raise CompositionError(
            f"`device` has no option `{name}` (from the variable DEVICE_NAME); it has {', '.join(options)}."
            f"{suggest(name, options)}"
        )
    device = OmegaConf.load(options[name]).device
    assert isinstance(device, DictConfig)
    return device
