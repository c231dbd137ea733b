"""Shortcuts that make short commands faster and change none of their results."""

import functools
import os
import sys
from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from pathlib import Path
from typing import Any

import omegaconf.base
from hydra._internal import defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.object_type import ObjectType
from lightning_fabric.utilities import registry
from omegaconf import DictConfig, OmegaConf

from frame_train.composition import objects
from frame_train.composition.compose import compose_config
from frame_train.composition.settings import config_directory
from frame_train.runs import directory


@functools.cache  # once for all tests of a process
def take_shortcuts() -> None:
    """Do once in this process what each command would do again with the same result, and do not wait for the disk.

    Files are written as usual, but `os.fsync` does not wait until they would survive a power failure, which takes a
    third of a short run.
    """
    ConfigRepository.load_config = _parse_once(ConfigRepository.load_config)
    ConfigRepository.__deepcopy__ = lambda repository, memo: copy(repository)  # Hydra only replaces its attributes
    ConfigLoaderImpl._compose_config_from_defaults_list = _merge_once(
        ConfigLoaderImpl._compose_config_from_defaults_list
    )
    if hasattr(defaults_list, "_create_interpolation_map"):  # not in Hydra 1.4, which does the same itself
        defaults_list._create_interpolation_map = _skip_unused(defaults_list._create_interpolation_map)
    omegaconf.base.parse = functools.cache(omegaconf.base.parse)
    OmegaConf.load = staticmethod(_cache_files(OmegaConf.load))
    objects.hydra_instantiate = _locate_once(objects.hydra_instantiate)
    directory._git = functools.cache(directory._git)  # no test changes the workspace
    directory.version = functools.cache(directory.version)  # or the installed packages
    registry.entry_points = functools.cache(registry.entry_points)
    os.fsync = _skip
    compose_config(["+experiment=DIGITS_VAE"])


def _is_ours(folder: str) -> bool:
    """Return whether a folder of config files is Hydra's or ours, and not that of a test, which may change."""
    return folder.partition("://")[2] in ("", "hydra.conf", str(config_directory()))


def _parse_once(load: Callable[..., Any]) -> Callable[..., Any]:
    """Cache the parsed files; one of them chooses the device by a variable of the environment."""
    parsed: dict[tuple[str, str, str | None], Any] = {}

    def load_cached(repository: Any, config_path: str) -> Any:
        source = repository._find_object_source(config_path, ObjectType.CONFIG)
        if source is None or not _is_ours(source.full_path()):
            return load(repository, config_path)
        key = (source.full_path(), config_path, os.environ.get("DEVICE_NAME"))
        if key not in parsed:
            parsed[key] = load(repository, config_path)
        return parsed[key]

    return load_cached


def _merge_once(merge: Callable[..., DictConfig]) -> Callable[..., DictConfig]:
    """Cache the merged files of each choice of options, to which Hydra then applies the values of the command line."""
    merged: dict[str, DictConfig] = {}

    def merge_cached(loader: Any, defaults: Sequence[Any], repo: Any) -> DictConfig:
        is_lasting = all(_is_ours(repo.load_config(default.config_path).path) for default in defaults)
        if is_lasting and repr(defaults) in merged:
            return deepcopy(merged[repr(defaults)])
        repo.cache = deepcopy(repo.cache)  # because the result contains nodes of the parsed files
        config = merge(loader, defaults, repo)
        if is_lasting:
            merged[repr(defaults)] = deepcopy(config)
        return config

    return merge_cached


def _skip_unused(create_map: Callable[..., Any]) -> Callable[..., Any]:
    """Skip the mapping by which Hydra resolves references in a list of defaults if the list has none."""

    def create_if_used(overrides: Any, defaults: Sequence[Any], self_added: bool) -> Any:
        has_reference = any(default.is_interpolation() for default in defaults)
        return create_map(overrides, defaults, self_added) if has_reference else None

    return create_if_used


def _cache_files(load: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Cache the files of our config folder. Nothing can change what is cached, because it is read-only."""
    parsed: dict[Path, Any] = {}

    def load_cached(file: Any) -> Any:
        if not isinstance(file, Path) or not file.is_relative_to(config_directory()):
            return load(file)
        if file not in parsed:
            parsed[file] = load(file)
            OmegaConf.set_readonly(parsed[file], True)
        return parsed[file]

    return load_cached


def _locate_once(instantiate: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Cache the class or function of each ``_target_``, as long as its module has it under that name."""
    located: dict[str, Any] = {}

    def instantiate_cached(config: Any) -> Any:
        module, _, name = config["_target_"].rpartition(".")
        known = located.get(config["_target_"])
        if known is None or getattr(sys.modules.get(module), name, None) is not known.func:
            known = located[config["_target_"]] = instantiate(config)
        return known

    return instantiate_cached


def _skip(_: int) -> None:
    """Do nothing."""
