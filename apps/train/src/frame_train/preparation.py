"""What every composed config must have, whatever it is for."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from frame_train.errors import CompositionError
from frame_train.legacy import rename_old_keys
from frame_train.options import read_options
from frame_train.settings import config_directory


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
    for key in ("run", "device"):
        if not isinstance(config.get(key), DictConfig):
            raise CompositionError(f"`{key}` must be a mapping, got {config.get(key)!r}.", key)
    if not isinstance(config.get("trainer"), DictConfig):
        message = f"`trainer` must be a mapping with the arguments of the Trainer, got {config.trainer!r}."
        raise CompositionError(message, "trainer")
    if type(config.seed) is not int or config.seed < 0:
        raise CompositionError(f"`seed` must be an integer that is not negative, got {config.seed!r}.", "seed")
    for name in ("data_root", "runs_root"):
        folder = config.device[name]
        if not isinstance(folder, str):
            message = f"`device.{name}` must be the path of a folder, got {folder!r}."
            raise CompositionError(message, f"device.{name}")
        config.device[name] = str(Path(folder).expanduser().absolute())
    return rename_old_keys(config.trainer)
