"""From a command line to a composed config, and from a key of it back to the file that it is written in."""

import contextlib
import re
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from frame_train.composition.overrides import is_override, normalize_overrides, own_folders
from frame_train.composition.settings import config_directory, workspace
from frame_train.errors import CompositionError

COMMAND_LINE = "the command line"
_GROUP_WITHOUT_OPTION = re.compile(r"\+?[a-z/]+=(null|true|false|[\d.]+|\{.*\})")


def compose_config(arguments: Sequence[str]) -> DictConfig:
    """Compose the config that a command line describes.

    Args:
        arguments: The command line; of its flags, ``--config-dir`` alone is heeded.

    Raises:
        HydraException: It can't be composed.
        OmegaConfBaseException: The same.
        CompositionError: An option file can't be read, or a group is given what is no option.
    """
    try:
        with _initialized_hydra():
            return compose("train", _get_overrides(arguments))
    except (HydraException, OmegaConfBaseException):
        raise
    except (OSError, ValueError, YAMLError) as error:
        raise CompositionError(tell_why_not(error, arguments)) from error


def tell_why_not(error: Exception, arguments: Sequence[str]) -> str:
    """Tell why Hydra could not compose a config, where it raises none of its own errors."""
    wrong = [argument for argument in arguments if _GROUP_WITHOUT_OPTION.fullmatch(argument)]
    if "Config group override must be" in str(error) and wrong:
        return f"`{wrong[0]}`: a group takes the name of an option; `~{wrong[0].partition('=')[0]}` leaves it out."
    return f"The config can't be composed: {error}"


def compose_what_can_be(arguments: Sequence[str]) -> tuple[DictConfig, list[Exception]]:
    """Compose what a command line describes, less what of it is wrong, and give what that is."""
    kept = list(arguments)
    errors: list[Exception] = []
    while True:
        try:
            return compose_config(kept), errors
        except (HydraException, OmegaConfBaseException, CompositionError) as error:
            errors.append(error)
            kept = _drop_wrong(kept, str(error))


class Origins:
    """Where the values of a composed config are written.

    Args:
        arguments: The command line.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        overrides = _get_overrides(arguments)
        with _initialized_hydra():
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


@contextlib.contextmanager
def _initialized_hydra() -> Generator[None]:
    """Initialize Hydra for our option files, and put back what it was: it may be in the middle of a job."""
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = outer


def _get_overrides(arguments: Sequence[str]) -> list[str]:
    own = list(own_folders(arguments))
    missing = [folder for folder in own if not folder.is_dir()]
    if missing:
        raise CompositionError(f"`--config-dir`: there is no folder {str(missing[0])!r}: it was not found.")
    folders = [folder.resolve().as_uri() for folder in own]
    return [f"hydra.searchpath=[{','.join(folders)}]", *filter(is_override, normalize_overrides(arguments))]


def _drop_wrong(arguments: Sequence[str], message: str) -> list[str]:
    """Drop the override that a message of Hydra's speaks of; where it speaks of none, drop all."""
    match = re.match(r"Could not override '(.+)'", message)
    kept = [argument for argument in arguments if match and not argument.lstrip("+").startswith(f"{match[1]}=")]
    return kept if len(kept) < len(arguments) else [argument for argument in arguments if not is_override(argument)]


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
