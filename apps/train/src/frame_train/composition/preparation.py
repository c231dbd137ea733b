"""What every composed config must have, whatever it is for."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from frame_train.composition.legacy import rename_old_keys
from frame_train.composition.options import read_options
from frame_train.composition.settings import config_directory
from frame_train.errors import CompositionError


def prepare_config(config: DictConfig) -> list[str]:
    """Check what every run needs, and bring it to one form.

    Args:
        config: A composed config; it is changed.

    Returns:
        A line for each old name in it, which tells the present one.

    Raises:
        CompositionError: Something that every run needs is missing, or of another kind.
    """
    if OmegaConf.is_missing(config, "optimization"):
        names = ", ".join(read_options("experiment", [config_directory()]))
        raise CompositionError(f"There is nothing to train: choose one with +experiment=, of {names}.")
    if "experiment" in config:
        message = "`experiment`: the file of an experiment begins with `# @package _global_`; without, it does nothing."
        raise CompositionError(message, "experiment")
    for key in ("run", "device", "params", "monitor"):
        if not isinstance(config.get(key), DictConfig):
            raise CompositionError(f"`{key}` must be a mapping, got {config.get(key)!r}.", key)
    if not isinstance(config.get("trainer"), DictConfig):
        message = f"`trainer` must be a mapping with the arguments of the Trainer, got {config.trainer!r}."
        raise CompositionError(message, "trainer")
    if type(config.seed) is not int or not 0 <= config.seed < 2**32:
        bound = "below 2**32" if type(config.seed) is int and config.seed > 0 else "not negative"
        message = f"`seed` must be an integer that is {bound}, got {config.seed!r}."
        raise CompositionError(message, "seed")
    for name in ("data_root", "runs_root"):
        folder = config.device[name]
        if not isinstance(folder, str):
            message = f"`device.{name}` must be the path of a folder, got {folder!r}."
            raise CompositionError(message, f"device.{name}")
        config.device[name] = str(Path(folder).expanduser().absolute())
    return rename_old_keys(config.trainer)
