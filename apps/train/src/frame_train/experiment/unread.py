"""Keys of a config that nothing reads, such as misspelt ones."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import cast

from omegaconf import DictConfig, OmegaConf

from frame_train.composition.command_line.overrides import is_override, own_folders
from frame_train.composition.objects import iterate_keys, suggest_key
from frame_train.composition.options import find_groups, read_options
from frame_train.composition.settings import config_directory
from frame_train.composition.unreadable import read_text
from frame_train.errors import CompositionError

_SECTIONS = ("params", "run", "monitor", "device")
"""Mappings without a target. The arguments of a target are checked elsewhere."""

_READ_BY_US = ("train.yaml", "device/default.yaml")
"""The config files that contain every key that the program itself reads."""


def find_unread(config: DictConfig, arguments: Sequence[str]) -> tuple[list[CompositionError], list[str]]:
    """Find keys at the top level, in ``params`` and in settings that neither the program nor a reference reads.

    A key that another option refers to is not a mistake: with ``model=AE``, nothing reads ``params.beta``.

    Args:
        config: The composed config.
        arguments: The command line that it is composed from.

    Returns:
        The mistakes, and a notice for each key that the command line sets without effect.
    """
    ours = _list_keys_read_by_us()
    own = [key for key in _iterate_section_keys(config) if key not in ours]
    references = _find_references(OmegaConf.to_yaml(config))
    unread = _drop_read(own, references)
    if not unread:
        return [], []
    folders = [*own_folders(arguments), config_directory()]
    texts = [read_text(path) for folder in folders for path in folder.rglob("*.yaml")]
    unknown = _drop_read(unread, _find_references("\n".join(texts)))
    known = [key for key in (*ours, *iterate_keys(config), *references) if key not in unknown]
    problems: list[CompositionError] = []
    notices: list[str] = []
    for key in unread:
        hint = (_suggest_group(key, config, folders) or suggest_key(key, known)) if key in unknown else ""
        override = next((word for word in arguments if is_override(word) and _is_related(key, _get_key(word))), None)
        if override is not None and (override.startswith("+") or key not in unknown):
            typed = re.sub(r"^\++", "+", override)
            notices.append(f"`{typed}` has no effect: nothing refers to `{key}`.{hint}")
        elif key in unknown:
            advice = hint or f" Refer to it as `${{{key}}}`, or remove it."
            problems.append(CompositionError(f"`{key}`: nothing refers to this key.{advice}", key))
    return problems, notices


def _suggest_group(key: str, config: DictConfig, folders: Sequence[Path]) -> str:
    """Suggest a group below another one, such as ``architectures/prior``, if a key with its last name is an option."""
    for group in find_groups(folders):
        if group.endswith(f"/{key}") and config.get(key) in read_options(group, folders):
            return f" Did you mean `+{group}={config[key]}`?"
    return ""


@cache  # for the jobs of a grid and the trials of a search
def _list_keys_read_by_us() -> frozenset[str]:
    configs = [OmegaConf.load(config_directory() / name) for name in _READ_BY_US]
    return frozenset(key for config in configs for key in _iterate_section_keys(cast(DictConfig, config)))


def _iterate_section_keys(config: DictConfig) -> Iterator[str]:
    """Yield the keys at the top level, and all keys of the sections."""
    for key in iterate_keys(config):
        if "." not in key or key.partition(".")[0] in _SECTIONS:
            yield key


def _drop_read(keys: Iterable[str], references: Collection[str]) -> list[str]:
    """Return the keys that no reference reads, without keys below another unread key."""
    unread: list[str] = []
    for key in keys:
        below = any(key.startswith(f"{parent}.") for parent in unread)
        if not below and not any(_reads(reference, key) for reference in references):
            unread.append(key)
    return unread


def _reads(reference: str, key: str) -> bool:
    """Return whether a reference names a key, a part of it, or a parent of it."""
    if reference.startswith("."):  # relative to an unknown key
        return f".{key}".endswith(f".{reference.lstrip('.')}")
    return _is_related(key, reference)


def _is_related(key: str, other: str) -> bool:
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def _find_references(text: str) -> set[str]:
    """Find all words in the interpolations of a text that could be keys."""
    inside = " ".join(re.findall(r"\$\{(.*)\}", text)).replace("[", ".")
    return {name.rstrip(".") for name in re.split(r"[^\w.-]+", inside)} - {""}


def _get_key(override: str) -> str:
    return re.sub(r"^[+~]*", "", override).partition("=")[0]
