"""The files and overrides that a key of a composed config comes from."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from frame_train.composition.compose import get_overrides, initialized_hydra
from frame_train.composition.overrides import own_folders
from frame_train.composition.settings import config_directory, workspace

COMMAND_LINE = "the command line"


class Origins:
    """Where the values of a composed config are written.

    Args:
        arguments: The command line.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        overrides = get_overrides(arguments)
        with initialized_hydra():
            loader = GlobalHydra.instance().config_loader()
            defaults = loader.compute_defaults_list("train", overrides, RunMode.RUN).defaults
        folders = [*own_folders(arguments), config_directory()]
        self._contents: list[tuple[str, Any]] = []
        for default in defaults:
            path = _find_file(default.config_path, folders)
            if path is not None:
                content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
                self._contents.append((_shorten(path), _nest(default.package or "", content)))
        keys = [re.sub(r"^[+~]*", "", override).partition("=")[0] for override in overrides]
        values = [key for key in keys if not any((folder / key).is_dir() for folder in folders)]
        self._contents += [(COMMAND_LINE, _nest(key, None)) for key in values]

    def find(self, key: str) -> list[str]:
        """Give what a key, or else what it is part of, is written in: files, and ``COMMAND_LINE``.

        Of a value it is the one that counts; of a node it is all that say something of it.
        """
        names = re.sub(r"\[(\w+)\]", r".\1", key).split(".")
        for length in range(len(names), 0, -1):
            found = {name: content for name, content in self._contents if _holds(content, names[:length])}
            if found:
                *_, last = found
                return list(found) if isinstance(_select(found[last], names[:length]), Mapping) else [last]
        return []


def _find_file(option: str | None, folders: Sequence[Path]) -> Path | None:
    return next((folder / f"{option}.yaml" for folder in folders if (folder / f"{option}.yaml").is_file()), None)


def _shorten(path: Path) -> str:
    """Give a path from the workspace on, where it is in it."""
    path = path.resolve()
    return str(path.relative_to(workspace())) if path.is_relative_to(workspace()) else str(path)


def _nest(package: str, content: Any) -> Any:
    for name in reversed(list(filter(None, package.split(".")))):
        content = {name: content}
    return content


_NOTHING = object()


def _holds(content: Any, names: Sequence[str]) -> bool:
    return _select(content, names) is not _NOTHING


def _select(content: Any, names: Sequence[str]) -> Any:
    for name in names:
        if isinstance(content, list):
            content = {str(index): item for index, item in enumerate(cast(list[Any], content))}
        if not isinstance(content, Mapping) or name not in content:
            return _NOTHING
        content = cast(Mapping[Any, Any], content)[name]
    return content
