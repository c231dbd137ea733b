"""Config files with more than Hydra reads: lists of callbacks, and options from the environment."""

from pathlib import Path
from typing import Any, cast

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from frame_train.composition.settings import config_directory

_LISTED = "_listed_"
_SCHEME = "frame"


def register_config_source() -> None:
    """Make Hydra read our config folder, and the folders of `get_address`, by this source."""
    for plugin in (_Source, _SearchPath):
        Plugins.instance().register(plugin)


def get_address(folder: Path) -> str:
    """Return the address of a config folder for Hydra's search path."""
    return f"{_SCHEME}://{folder.absolute()}"


def replace_by_listed(config: DictConfig) -> None:
    """Remove callbacks of a class that is also in a list.

    Args:
        config: A composed config, which is modified.
    """
    callbacks = config.get("callbacks")
    if isinstance(callbacks, DictConfig) and _LISTED in callbacks:
        with open_dict(callbacks):
            listed = callbacks.pop(_LISTED)
            targets = [_get_target(callbacks.get(name)) for name in listed]
            for name in list(callbacks):
                if name not in listed and _get_target(callbacks[name]) in targets:
                    del callbacks[name]


def _name_by_class(callbacks: ListConfig) -> dict[str, Any]:
    """Return the callbacks of a list by the names of their classes, and which names they are."""
    named: dict[str, Any] = {}
    for callback in callbacks:
        name = _get_target(callback).rpartition(".")[2]
        n_before = sum(other.partition("_")[0] == name for other in named)
        named[f"{name}_{n_before + 1}" if n_before else name] = callback
    return {**named, _LISTED: dict.fromkeys(named, True)}


def _get_target(callback: Any) -> str:
    return str(callback.get("_target_")) if isinstance(callback, DictConfig) else str(callback)


def _resolve_environment(config: DictConfig) -> None:
    """Resolve options that are read from the environment, which Hydra 1.4 refuses in a defaults list."""
    defaults = config.get("defaults")
    if isinstance(defaults, ListConfig):
        for index, entry in enumerate(cast(list[Any], OmegaConf.to_container(defaults, resolve=False))):
            for group, option in entry.items() if isinstance(entry, dict) else ():
                if isinstance(option, str) and "${oc.env:" in option:
                    defaults[index][group] = defaults[index][group]  # the value of the reference


class _Source(ConfigSource):
    """Source of config files that turns a list of callbacks into a mapping, and reads options from the environment."""

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider, path)
        sources = cast(list[type[ConfigSource]], Plugins.instance().discover(ConfigSource))
        files = next(source for source in sources if source.scheme() == "file")
        self._files = files(provider, f"file://{self.path}")

    @staticmethod
    def scheme() -> str:
        return _SCHEME

    def load_config(self, config_path: str) -> ConfigResult:
        result = self._files.load_config(config_path)
        if isinstance(result.config, DictConfig):
            _resolve_environment(result.config)
        if isinstance(result.config, DictConfig) and isinstance(result.config.get("callbacks"), ListConfig):
            result.config.callbacks = _name_by_class(result.config.callbacks)
        return result

    def available(self) -> bool:
        return self._files.available()

    def is_group(self, config_path: str) -> bool:
        return self._files.is_group(config_path)

    def is_config(self, config_path: str) -> bool:
        return self._files.is_config(config_path)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        return self._files.list(config_path, results_filter)


class _SearchPath(SearchPathPlugin):
    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for element in search_path.get_path():
            if element.path == str(config_directory()):
                element.path = get_address(config_directory())
