"""What is wrong with a config that can be seen before anything is built from it."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from frame_train.composition.objects import RESERVED_KEYS, find_target, get_key, read_entry, trace_origin
from frame_train.composition.signatures import COMPONENT, find_argument_problems, find_signature_problems
from frame_train.composition.written_signatures import read_written_signature
from frame_train.errors import CompositionError

Node = DictConfig | ListConfig
_Check = Callable[[Any, Sequence[Any], Mapping[str, Any], str, bool], list[CompositionError]]


def find_static_problems(config: DictConfig) -> list[CompositionError]:
    """Find every interpolation that can't be resolved, and every target that is not there or takes other arguments.

    Args:
        config: A composed config.
    """
    return _find_problems(config, _find_argument_problems)


def find_written_problems(config: DictConfig) -> list[CompositionError]:
    """Find what of the static problems can be told without importing anything: from what is written of our targets.

    Args:
        config: A composed config, of a run that has no directory yet.
    """
    config = config.copy()
    config.run.directory = "."
    return _find_problems(config, _find_written_problems)


def _find_problems(config: DictConfig, check: _Check) -> list[CompositionError]:
    unreadable: dict[str, _Unreadable] = {}
    problems: list[CompositionError] = []
    for node in _iterate_nodes(config, unreadable):
        if isinstance(node, DictConfig) and "_target_" in node:
            problems += _check_component(node, check)
    return [*(entry.error for key, entry in unreadable.items() if not _has_other_cause(key, unreadable)), *problems]


def iterate_components(node: Any, done: set[int] | None = None) -> Iterator[DictConfig]:
    """Go through every component that a node describes or refers to, the parts of each before itself.

    What can't be resolved is left out.
    """
    done = set() if done is None else done
    if not isinstance(node, Node) or id(node) in done:
        return
    done.add(id(node))
    for name in _get_names(node):
        with contextlib.suppress(OmegaConfBaseException):
            yield from iterate_components(node[name], done)
    if isinstance(node, DictConfig) and "_target_" in node:
        yield node


class _Unreadable(NamedTuple):
    """An entry that can't be read: why, and which other key it refers to."""

    error: CompositionError
    reference: str | None


def _iterate_nodes(node: Node, unreadable: dict[str, _Unreadable]) -> Iterator[Node]:
    """Go through every node that is written in a config, and note what in it can't be read."""
    yield node
    for name in _get_names(node):
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
    """Say whether an entry can't be read because another one can't, to which its references lead."""
    passed = [key]
    while True:
        reference = unreadable[passed[-1]].reference
        if reference is None or reference not in unreadable:
            return len(passed) > 1
        if reference in passed:  # a circle has no beginning
            return False
        passed.append(reference)


def _get_names(node: Node) -> list[Any]:
    return list(range(len(node))) if isinstance(node, ListConfig) else list(node)


def _check_component(node: DictConfig, check: _Check) -> list[CompositionError]:
    """Check that a target is there and takes the arguments of its node."""
    path = _make_stand_in(node, "_target_")
    if path is COMPONENT:  # it can't be read
        return []
    arguments = {str(name): _make_stand_in(node, name) for name in node if name not in RESERVED_KEYS}
    positional = _make_stand_in(node, "_args_") if "_args_" in node else []
    flags = _check_flags(node)
    if flags or not isinstance(positional, list):
        return flags
    problems = check(path, positional, arguments, get_key(node), bool(node.get("_partial_")))
    return [trace_origin(problem, node) for problem in problems]


def _find_argument_problems(
    path: Any, positional: Sequence[Any], arguments: Mapping[str, Any], key: str, partial: bool
) -> list[CompositionError]:
    try:
        target = find_target(path, key)
    except CompositionError as error:
        return [error]
    return find_argument_problems(target, positional, arguments, key, partial)


def _find_written_problems(
    path: Any, positional: Sequence[Any], arguments: Mapping[str, Any], key: str, partial: bool
) -> list[CompositionError]:
    written = read_written_signature(path) if isinstance(path, str) else None
    if written is None:
        return []
    return find_signature_problems(written.signature, written.name, positional, arguments, key, partial)


def _check_flags(node: DictConfig) -> list[CompositionError]:
    """Check the keys that say how a target is called."""
    problems: list[CompositionError] = []
    for name, kind in {"_partial_": bool, "_copy_": bool, "_recursive_": bool, "_args_": list}.items():
        value = _make_stand_in(node, name) if name in node else COMPONENT
        if value is not COMPONENT and not isinstance(value, kind):
            key = get_key(node, name)
            problems.append(CompositionError(f"`{key}` must be of type {kind.__name__}, got {value!r}.", key))
    return problems


def _make_stand_in(node: Node, name: Any) -> Any:
    """Give the value of an entry, with `COMPONENT` in the place of what is still to be built or can't be read."""
    try:
        entry = node[name]
    except OmegaConfBaseException:
        return COMPONENT
    if isinstance(entry, ListConfig):
        return [_make_stand_in(entry, index) for index in range(len(entry))]
    if isinstance(entry, DictConfig):
        return COMPONENT if "_target_" in entry else {name: _make_stand_in(entry, name) for name in entry}
    return entry
