"""Where the option files are, and what they may ask for."""

from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, ListConfig, OmegaConf

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


def resolve_without_environment(config: DictConfig) -> dict[str, Any]:
    """Give a config as plain containers, resolved but for what it takes from the environment.

    So that no credential in a variable goes where hyper-parameters are logged.
    """
    return cast(dict[str, Any], _resolve(config))


def _resolve(node: Any) -> Any:
    if not isinstance(node, ListConfig | DictConfig):
        return node
    raw = cast(Any, OmegaConf.to_container(node, resolve=False))
    if isinstance(node, ListConfig):
        return [_resolve_entry(node, index, raw[index]) for index in range(len(node))]
    return {str(name): _resolve_entry(node, name, raw[name]) for name in node}


def _resolve_entry(node: DictConfig | ListConfig, name: Any, raw: Any) -> Any:
    return raw if isinstance(raw, str) and "${oc.env:" in raw else _resolve(node[name])
