"""Origins of the values of a composed config: the key, the file or the override that sets each of them."""

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from frame_train.composition.command_line.overrides import own_folders
from frame_train.composition.compose import get_overrides, initialized_hydra
from frame_train.composition.settings import config_directory, workspace
from frame_train.errors import CompositionError, raise_any

COMMAND_LINE = "the command line"
_NOTHING = object()


@contextmanager
def located(config: DictConfig, arguments: Sequence[str] | None = None) -> Generator[None]:
    """Add to each mistake that the block raises the origin of its value.

    If several references lead to a wrong value, the value is reported once.

    Args:
        config: The config that has the keys of the mistakes.
        arguments: The command line that it is composed from; None for a stored config, which has no config files.

    Raises:
        CompositionError: The block raised a mistake.
    """
    try:
        yield
    except CompositionError as error:
        raise_any(locate(error.problems, config, arguments))


def locate(
    problems: Sequence[CompositionError], config: DictConfig, arguments: Sequence[str] | None = None
) -> list[CompositionError]:
    """Return mistakes with the origins of their values, as `located` adds them."""
    origins = Origins(arguments) if arguments is not None and any(problem.key for problem in problems) else None
    kept: dict[str, CompositionError] = {}
    for problem in problems:
        message = str(problem)
        key, reference = _find_value(problem, config)
        source = "" if reference in message else f" It comes from `{reference}`."
        exists = OmegaConf.select(config, reference or key, default=_NOTHING, throw_on_resolution_failure=False)
        files = origins.find(key if exists is _NOTHING else reference or key) if origins is not None else []
        located = CompositionError(message, origin=source + (f"\n  in {', '.join(files)}" if files else ""))
        kept.setdefault(re.sub("^`.*?`", "", message) + reference if reference else message, located)
    return list(kept.values())


def _find_value(problem: CompositionError, config: DictConfig) -> tuple[str, str]:
    """Return the key of the wrong argument, and the key that it refers to; empty if it is not a reference."""
    parent, _, name = problem.key.rpartition(".")
    said = re.findall(r"`(\w+)(?:\[\d+\])*`", str(problem))  # an error of a target names its arguments
    for key, names in ((problem.key, said), (parent, [name])):
        node = OmegaConf.select(config, key, throw_on_resolution_failure=False) if key else None
        raw = cast(dict[str, Any], OmegaConf.to_container(node, resolve=False)) if isinstance(node, DictConfig) else {}
        for name in filter(raw.__contains__, names):
            match = re.fullmatch(r"\$\{([\w.]+)\}", str(raw[name]))
            return f"{key}.{name}", match[1] if match else ""
    return problem.key, ""


class Origins:
    """The files and overrides of a composed config.

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
        """Return the files that set a key, or else its nearest parent, and ``COMMAND_LINE`` for an override.

        A value has one origin: the last one. A node has the origins of all its parts.
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
    """Return a path relative to the workspace, if it is inside the workspace."""
    path = path.resolve()
    return str(path.relative_to(workspace())) if path.is_relative_to(workspace()) else str(path)


def _nest(package: str, content: Any) -> Any:
    for name in reversed(list(filter(None, package.split(".")))):
        content = {name: content}
    return content


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
