"""Shortcuts that make short commands faster and change none of their results."""

import functools
import os
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import omegaconf.base
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import OmegaConf

from frame_train.composition.compose import compose_config
from frame_train.composition.settings import config_directory

Load = Callable[[ConfigSource, str], ConfigResult]


@functools.cache  # once for all tests of a process
def take_shortcuts() -> None:
    """Parse config files and interpolations once in this process, and do not wait for the disk.

    Hydra would parse every file again for each command. Files are written as usual, but `os.fsync` does not wait until
    they would survive a power failure, which takes a third of a short run.
    """
    for source in Plugins.instance().discover(ConfigSource):
        if source.scheme() in ("file", "pkg"):
            source.load_config = _cache(source.load_config)
    omegaconf.base.parse = functools.cache(omegaconf.base.parse)
    OmegaConf.load = staticmethod(_cache_files(OmegaConf.load))
    os.fsync = _skip
    compose_config(["+experiment=DIGITS_VAE"])


def _cache(load: Load) -> Load:
    """Cache the config files of Hydra and of ours. Those of a test may change."""
    parsed: dict[tuple[str, str], ConfigResult] = {}

    def load_cached(source: ConfigSource, config_path: str) -> ConfigResult:
        if source.scheme() == "file" and Path(source.path) != config_directory():
            return load(source, config_path)
        key = (source.path, config_path)
        if key not in parsed:
            parsed[key] = load(source, config_path)
        return deepcopy(parsed[key])

    return load_cached


def _cache_files(load: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Cache the files of our config folder."""
    parsed: dict[Path, Any] = {}

    def load_cached(file: Any) -> Any:
        if not isinstance(file, Path) or not file.is_relative_to(config_directory()):
            return load(file)
        if file not in parsed:
            parsed[file] = load(file)
        return deepcopy(parsed[file])

    return load_cached


def _skip(_: int) -> None:
    """Do nothing."""
