"""Shortcuts that make short commands faster and change none of their results."""

import functools
import io
import os
import pickle
import sys
from collections.abc import Callable
from operator import attrgetter
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


class _Unpickler(pickle.Unpickler):
    """Unpickles what this process has pickled, without the audit event by which tests find executions."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        return attrgetter(global_name)(sys.modules[module_name])


def _cache(load: Load) -> Load:
    """Cache the config files of Hydra and of ours. Those of a test may change."""
    parsed: dict[tuple[str, str], bytes] = {}

    def load_cached(source: ConfigSource, config_path: str) -> ConfigResult:
        if source.scheme() == "file" and Path(source.path) != config_directory():
            return load(source, config_path)
        key = (source.path, config_path)
        if key not in parsed:
            parsed[key] = pickle.dumps(load(source, config_path))
        return _Unpickler(io.BytesIO(parsed[key])).load()

    return load_cached


def _cache_files(load: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Cache the files of our config folder."""
    parsed: dict[Path, bytes] = {}

    def load_cached(file: Any) -> Any:
        if not isinstance(file, Path) or not file.is_relative_to(config_directory()):
            return load(file)
        if file not in parsed:
            parsed[file] = pickle.dumps(load(file))
        return _Unpickler(io.BytesIO(parsed[file])).load()

    return load_cached


def _skip(_: int) -> None:
    """Do nothing."""
