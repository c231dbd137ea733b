"""Where the option files are, and what they may ask for."""

import os
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.resolvers.oc import env

_PACKAGE = Path(__file__).resolve().parents[1]


def config_directory() -> Path:
    """Give the folder of the option files: inside the installed package, or at the top of the repository."""
    installed = _PACKAGE / "config"
    return installed if installed.is_dir() else _PACKAGE.parents[3] / "config"


def workspace() -> Path:
    """Give the folder for ``data/`` and ``runs/``: the repository's, or the current one of an installed package."""
    config = config_directory()
    return Path.cwd() if config.parent == _PACKAGE else config.parent


def register_resolvers() -> None:
    """Let option files say ``${workspace:}``, and remember what they take from the environment."""
    OmegaConf.register_new_resolver("workspace", lambda: str(workspace()), replace=True)
    OmegaConf.register_new_resolver("oc.env", _read_environment, replace=True)


_taken: dict[str, str] = {}  # what option files took from the environment: the latest last, as the name of each value
_LEAST_HIDDEN = 8  # characters: less is a number, or a word that stands elsewhere too


def _read_environment(*arguments: Any) -> str | None:
    value = env(*arguments)
    if value is not None and os.environ.get(arguments[0]) == value:
        _taken.pop(value, None)
        _taken[value] = arguments[0]
    return value


def hide_environment(text: str) -> str:
    """Give a text with the names of variables in place of what a config took from them, paths and the device aside."""
    for value, name in _taken.items():
        if len(value) >= _LEAST_HIDDEN and name != "DEVICE_NAME" and not os.path.exists(value):
            text = text.replace(value, f"${{oc.env:{name}}}")
    return text


def resolve_without_environment(config: DictConfig) -> dict[str, Any]:
    """Give a config as plain containers, resolved but for what it takes from the environment.

    So that no credential in a variable goes where hyper-parameters are logged.
    """
    return cast(dict[str, Any], _resolve(config))


def read_without_environment(node: DictConfig | ListConfig, name: Any) -> Any:
    """Read an entry of a config; as it is written, where it takes something from the environment by whatever way.

    Raises:
        OmegaConfBaseException: It refers to what is not there.
    """
    raw = cast(Any, OmegaConf.to_container(node, resolve=False))[name]
    if not isinstance(raw, str) or "${" not in raw:
        return node[name]
    if "${oc.env:" in raw:
        return raw
    before = dict(_taken)
    _taken.clear()
    value = node[name]
    takes_any = bool(_taken)
    _taken.update({**before, **_taken})
    return raw if takes_any else value


def _resolve(node: Any) -> Any:
    if isinstance(node, ListConfig):
        return [_resolve(read_without_environment(node, index)) for index in range(len(node))]
    if isinstance(node, DictConfig):
        return {str(name): _resolve(read_without_environment(node, name)) for name in node}
    return node
