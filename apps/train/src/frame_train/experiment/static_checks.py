"""Checks of a config before anything is built from it."""

import re
from collections.abc import Callable, Iterator, Mapping
from inspect import Parameter, Signature
from typing import Any, NamedTuple, cast

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from frame_train.composition.objects import RESERVED_KEYS, find_target, get_key, read_entry
from frame_train.composition.signatures import COMPONENT, TargetSignature, find_argument_problems, read_signature
from frame_train.composition.written_signatures import read_written_signature
from frame_train.errors import CompositionError

Node = DictConfig | ListConfig
ReadSignature = Callable[[Any, str], TargetSignature | None]
"""Function that reads the signature of a ``_target_``, given the key of its node."""

_FLAG_TYPES = {"_partial_": bool, "_copy_": bool, "_recursive_": bool, "_args_": list}
_FLAGS = TargetSignature(
    "a component",
    Signature([Parameter(key, Parameter.KEYWORD_ONLY, annotation=_FLAG_TYPES.get(key, Any)) for key in RESERVED_KEYS]),
)


def find_static_problems(config: DictConfig) -> list[CompositionError]:
    """Find interpolations that can't be resolved, missing targets, and arguments that do not fit their target.

    Args:
        config: A composed config.
    """
    return _find_problems(config, lambda path, key: read_signature(find_target(path, key)))


def find_written_problems(config: DictConfig) -> list[CompositionError]:
    """Find static problems without importing anything: in interpolations, and in the arguments of our own targets.

    Args:
        config: A composed config, still without a run directory.
    """
    config = config.copy()
    config.run.directory = "."
    return _find_problems(config, lambda path, key: read_written_signature(path) if isinstance(path, str) else None)


def _find_problems(config: DictConfig, read: ReadSignature) -> list[CompositionError]:
    unreadable: dict[str, _Unreadable] = {}
    problems = [
        problem
        for node in _iterate_nodes(config, unreadable)
        if isinstance(node, DictConfig) and "_target_" in node
        for problem in _check_component(node, read)
    ]
    return [*(entry.error for key, entry in unreadable.items() if not _has_other_cause(key, unreadable)), *problems]


class _Unreadable(NamedTuple):
    """The error of an entry that can't be read, and the key that the entry refers to."""

    error: CompositionError
    reference: str | None


def _iterate_nodes(node: Node, unreadable: dict[str, _Unreadable]) -> Iterator[Node]:
    """Yield every node of a config once, without following references, and collect the entries that can't be read."""
    yield node
    for name in range(len(node)) if isinstance(node, ListConfig) else list(node):
        try:
            entry = read_entry(node, name)
        except CompositionError as error:
            raw = cast(Any, OmegaConf.to_container(node, resolve=False))[name]
            match = re.fullmatch(r"\$\{([\w.]+)\}", str(raw))
            unreadable[get_key(node, name)] = _Unreadable(error, match[1] if match else None)
            continue
        if isinstance(entry, Node) and not OmegaConf.is_interpolation(node, name):
            yield from _iterate_nodes(entry, unreadable)


def _has_other_cause(key: str, unreadable: Mapping[str, _Unreadable]) -> bool:
    """Return whether an entry can't be read because it refers to another unreadable entry."""
    passed = [key]
    while True:
        reference = unreadable[passed[-1]].reference
        if reference is None or reference not in unreadable:
            return len(passed) > 1
        if reference in passed:  # a cycle, which has no first entry
            return False
        passed.append(reference)


def _check_component(node: DictConfig, read: ReadSignature) -> list[CompositionError]:
    """Find mistakes in the target and the arguments of a node."""
    key = get_key(node)
    values = {str(name): _make_stand_in(node, name) for name in node}
    flags = {name: values.pop(name) for name in RESERVED_KEYS if name in values}
    problems = list(find_argument_problems(_FLAGS, (), flags, key, partial=True))
    path, positional = flags["_target_"], flags.get("_args_", [])
    if problems or COMPONENT in (path, positional):  # an unreadable entry is reported under its own key
        return problems
    try:
        return list(find_argument_problems(read(path, key), positional, values, key, bool(flags.get("_partial_"))))
    except CompositionError as error:
        return [error]


def _make_stand_in(node: Node, name: Any) -> Any:
    """Return the value of an entry, with `COMPONENT` in place of components and unreadable entries."""
    try:
        entry = node[name]
    except OmegaConfBaseException:
        return COMPONENT
    if isinstance(entry, ListConfig):
        return [_make_stand_in(entry, index) for index in range(len(entry))]
    if isinstance(entry, DictConfig):
        return COMPONENT if "_target_" in entry else {name: _make_stand_in(entry, name) for name in entry}
    return entry
