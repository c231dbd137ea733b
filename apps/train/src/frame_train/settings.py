"""Where the option files are, and what they may ask for."""

from pathlib import Path

from omegaconf import OmegaConf

_PACKAGE = Path(__file__).resolve().parent


def config_directory() -> Path:
    """Give the folder of the option files: inside the installed package, or at the top of the repository."""
    installed = _PACKAGE / "config"
    return installed if installed.is_dir() else _PACKAGE.parents[3] / "config"


def workspace() -> Path:
    """Give the folder for ``data/`` and ``runs/``: the repository's, or the current one of an installed package."""
    config = config_directory()
    return Path.cwd() if config.parent == _PACKAGE else config.parent


def register_resolvers() -> None:
    """Let option files say ``${workspace:}``."""
    OmegaConf.register_new_resolver("workspace", lambda: str(workspace()), replace=True)
