"""Config folders, and the values that configs take from the environment."""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import hydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers.oc import env

IS_HYDRA_1_3 = hydra.__version__.startswith("1.3.")
# Hydra 1.3 asks for the version whose defaults are meant; Hydra 1.4 warns of the argument.
HYDRA_DEFAULTS: dict[str, Any] = {"version_base": "1.3"} if IS_HYDRA_1_3 else {}

_PACKAGE = Path(__file__).resolve().parents[1]
_SHORTEST_HIDDEN = 8  # characters; a shorter value could be a number or a common word
_MASK = "<from the environment>"
_NAMES = ("name", "display_name", "project", "group", "job_type", "tags", "notes", "filename")


def config_directory() -> Path:
    """Return the folder of the config files: in the installed package, or in the root of the repository."""
    installed = _PACKAGE / "config"
    return installed if installed.is_dir() else _PACKAGE.parents[3] / "config"


def workspace() -> Path:
    """Return the folder for ``data/`` and ``runs/``: the repository, or the current folder for an installed package."""
    config = config_directory()
    return Path.cwd() if config.parent == _PACKAGE else config.parent


def register_resolvers() -> None:
    """Register ``${workspace:}``, which the config files use."""
    register_resolver("workspace", lambda: str(workspace()))


def register_resolver(name: str, resolver: Callable[..., Any]) -> None:
    """Register a resolver, or replace the one of this name. Hydra 1.4 needs OmegaConf 2.4, which renamed the method."""
    method = "register_new_resolver" if IS_HYDRA_1_3 else "register_resolver"
    getattr(OmegaConf, method)(name, resolver, replace=True)


class EnvironmentRecord:
    """Values that configs took from the environment, so that messages can hide them."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}  # the variable of each value, in the order in which they were read

    def hide(self, text: str) -> str:
        """Return the text with references in place of recorded values. Paths and the device name are kept."""
        for value, name in self._names.items():
            if len(value) >= _SHORTEST_HIDDEN and name != "DEVICE_NAME" and not os.path.exists(value):
                text = text.replace(value, f"${{oc.env:{name}}}")
        return text

    def read(self, *arguments: Any) -> str | None:
        """Resolve ``${oc.env:…}``, and record the value."""
        value = env(*arguments)
        if value is not None and os.environ.get(arguments[0]) == value:
            self._names.pop(value, None)
            self._names[value] = arguments[0]
        return value


_records: list[EnvironmentRecord] = []


@contextmanager
def recorded_environment() -> Generator[EnvironmentRecord]:
    """Record every ``${oc.env:…}`` that is resolved in the block."""
    record = EnvironmentRecord()
    _records.append(record)
    register_resolver("oc.env", record.read)
    try:
        yield record
    finally:
        _records.pop()
        register_resolver("oc.env", _records[-1].read if _records else env)


def resolve_without_environment(config: DictConfig) -> dict[str, Any]:
    """Return a config as plain containers, in which only values of the environment are not resolved."""
    return cast(dict[str, Any], OmegaConf.to_container(hide_environment(config), resolve=True))


def hide_environment(config: DictConfig) -> DictConfig:
    """Return the config, or a copy of it, in which values that depend on the environment are not resolved.

    Loggers and the terminal receive it, so that no credential reaches them.
    """
    written = cast(dict[str, Any], OmegaConf.to_container(config, resolve=False))
    if not _calls_resolver(written):
        return config
    masked = OmegaConf.create(_mask(written))
    return OmegaConf.create({name: _hide(masked, name, value) for name, value in written.items()})


def find_names_from_environment(config: DictConfig) -> list[str]:
    """Return the keys of names whose value comes from the environment. Names are written in many places."""
    hidden = hide_environment(config)
    return [
        key
        for group in ("run", "evaluation", "callbacks", "logger")
        for key in _iterate_names(cast(dict[str, Any], OmegaConf.to_container(config, resolve=False)).get(group), group)
        if _select(config, key) != _select(hidden, key)
    ]


def _select(config: DictConfig, key: str) -> Any:
    return OmegaConf.select(config, key, throw_on_resolution_failure=False)


def _iterate_names(written: Any, key: str) -> Iterator[str]:
    items = written.items() if isinstance(written, dict) else enumerate(written) if isinstance(written, list) else ()
    for name, value in items:
        if name in _NAMES:
            yield f"{key}.{name}"
        else:
            yield from _iterate_names(value, f"{key}.{name}")


def _calls_resolver(written: Any) -> bool:
    """Return whether a text calls a resolver. Without one, nothing depends on the environment."""
    if isinstance(written, dict | list):
        items = cast(dict[str, Any], written).values() if isinstance(written, dict) else cast(list[Any], written)
        return any(map(_calls_resolver, items))
    return isinstance(written, str) and "${" in written and ":" in written


def _mask(written: Any) -> Any:
    """Replace every text that reads the environment by a mask."""
    if isinstance(written, dict):
        return {name: _mask(value) for name, value in cast(dict[str, Any], written).items()}
    if isinstance(written, list):
        return [_mask(value) for value in cast(list[Any], written)]
    return _MASK if isinstance(written, str) and "oc.env" in written else written


def _hide(masked: Any, name: Any, written: Any) -> Any:
    """Escape every text that depends on a masked text, so that it resolves to itself."""
    if isinstance(written, dict):
        return {key: _hide(masked[name], key, value) for key, value in cast(dict[str, Any], written).items()}
    if isinstance(written, list):
        return [_hide(masked[name], index, value) for index, value in enumerate(cast(list[Any], written))]
    if isinstance(written, str) and "${" in written and _is_masked(masked, name, written):
        return written.replace("\\", "").replace("${", "\\${")
    return written


def _is_masked(masked: Any, name: Any, written: str) -> bool:
    """Return whether the value of a reference depends on a masked text."""
    try:
        value = masked[name]
    except OmegaConfBaseException:  # a resolver may refuse the mask
        return True
    if OmegaConf.is_config(value):  # its texts are masked, but a resolver could resolve them again
        return ":" in written
    return _MASK in str(value)
