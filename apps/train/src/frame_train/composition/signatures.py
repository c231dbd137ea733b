"""Whether the arguments that a config gives are those that a target takes."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, cast, get_args, get_origin

from frame_train.errors import CompositionError, suggest

COMPONENT: Final = object()
"""Stands for an argument that is an object still to be built: it may be of any type."""

_CONTAINERS = (list, Sequence, tuple, dict, Mapping)


def find_argument_problems(
    target: Callable[..., Any],
    positional: Sequence[Any],
    arguments: Mapping[str, Any],
    key: str,
    partial: bool = False,
) -> list[CompositionError]:
    """Find the arguments that a target lacks, does not take, or takes of another simple type.

    Args:
        target: A class or a function.
        positional: Its positional arguments.
        arguments: Its arguments by name.
        key: Key of the node that describes them.
        partial: Whether the rest of its arguments is given later.
    """
    try:
        signature = _read_signature(target)
    except ValueError:  # some built-in callables tell none
        return []
    return find_signature_problems(signature, describe(target), positional, arguments, key, partial)


def find_signature_problems(
    signature: inspect.Signature,
    target: str,
    positional: Sequence[Any],
    arguments: Mapping[str, Any],
    key: str,
    partial: bool = False,
) -> list[CompositionError]:
    """Find the arguments that a signature lacks, does not take, or takes of another simple type.

    Args:
        signature: The signature.
        target: Full name of what has it.
        positional: The positional arguments.
        arguments: The arguments by name.
        key: Key of the node that describes them.
        partial: Whether the rest of the arguments is given later.
    """
    problems = _find_unbound(signature, target, positional, arguments, key, partial)
    given = {**dict(zip(signature.parameters, positional)), **arguments}
    for name, value in given.items():
        parameter = signature.parameters.get(name)
        expected = _describe_expected(parameter.annotation, value) if parameter else ""
        if expected and parameter and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            problems.append(CompositionError(f"`{key}.{name}` must be {expected}, got {value!r}.", f"{key}.{name}"))
    return problems


def describe(target: Callable[..., Any]) -> str:
    """Give the full name of a target."""
    if isinstance(target, functools.partial):
        return describe(target.func)
    return f"{target.__module__}.{target.__qualname__}"


def _read_signature(target: Callable[..., Any]) -> inspect.Signature:
    """Give a signature, annotations that are strings read where that is possible."""
    try:
        return inspect.signature(target, eval_str=True)
    except (NameError, TypeError, SyntaxError, AttributeError):
        return inspect.signature(target)


def _describe_expected(annotation: Any, value: Any) -> str:
    """Say what an annotation asks for where a value is not of it; nothing where it is, or where none can tell."""
    if value is COMPONENT:
        return ""
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    if not all(_is_simple(kind) for kind in kinds) or any(_is_of(value, kind) for kind in kinds):
        return ""
    named = [_name(kind) for kind in kinds if kind is not NoneType]
    plain = [kind.__name__ for kind in kinds if isinstance(kind, type) and kind is not NoneType]
    return f"of type {' or '.join(plain)}" if len(plain) == len(named) else " or ".join(named)


def _is_simple(kind: Any) -> bool:
    if get_origin(kind) in _CONTAINERS:
        return all(item is Ellipsis or _is_simple(item) for item in get_args(kind))
    is_plain = kind in (int, float, bool, str, NoneType) or get_origin(kind) in (Literal, Callable)
    return is_plain or _is_module(kind)


def _is_module(kind: Any) -> bool:
    """Say whether a type is one of networks, which no plain value of a config is of."""
    bases = kind.__mro__ if isinstance(kind, type) else ()
    return any((base.__module__, base.__qualname__) == ("torch.nn.modules.module", "Module") for base in bases)


def _is_of(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is Callable:
        return callable(value)
    if get_origin(kind) in _CONTAINERS:
        return _is_container_of(value, kind)
    if _is_module(kind):
        return isinstance(value, kind)
    if kind is str:  # a name that YAML reads as a number is one too
        return type(value) in (str, int, float)
    return type(value) is kind or (type(value) is int and kind is float)


def _is_container_of(value: Any, kind: Any) -> bool:
    kinds = [item for item in get_args(kind) if item is not Ellipsis]
    if get_origin(kind) in (dict, Mapping):
        is_mapping = isinstance(value, Mapping)
        return is_mapping and all(_is_item_of(item, kinds[1]) for item in cast(Mapping[Any, Any], value).values())
    if not isinstance(value, list | tuple):
        return False
    items = cast(Sequence[Any], value)
    if get_origin(kind) is tuple and Ellipsis not in get_args(kind):
        return len(items) == len(kinds) and all(map(_is_item_of, items, kinds))
    return all(_is_item_of(item, kinds[0]) for item in items)


def _is_item_of(value: Any, kind: Any) -> bool:
    return value is COMPONENT or _is_of(value, kind)


def _name(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(repr, get_args(kind)))}"
    if get_origin(kind) is Callable:
        return "a component that can be called, such as one with `_partial_: true`"
    if get_origin(kind) in _CONTAINERS:
        kinds = ", ".join(_name(item).removeprefix("of type ") for item in get_args(kind) if item is not Ellipsis)
        return f"a {'mapping' if get_origin(kind) in (dict, Mapping) else 'list'} of {kinds}"
    return f"of type {kind.__name__}"


def _find_unbound(
    signature: inspect.Signature,
    target: str,
    positional: Sequence[Any],
    arguments: Mapping[str, Any],
    key: str,
    partial: bool,
) -> list[CompositionError]:
    """Find the arguments that a target does not take, and those that it lacks."""
    parameters = signature.parameters.values()
    named = [part.name for part in parameters if part.kind in (part.POSITIONAL_OR_KEYWORD, part.KEYWORD_ONLY)]
    takes_any = any(part.kind is part.VAR_KEYWORD for part in parameters)
    takes = f"it takes {', '.join(f'`{name}`' for name in named)}" if named else "it takes none by name"
    problems: list[CompositionError] = []
    for name in [] if takes_any else [name for name in arguments if name not in named]:
        hint = suggest(name, named) or f" {takes[0].upper()}{takes[1:]}."
        problems.append(CompositionError(f"`{key}`: {target} takes no `{name}`.{hint}", f"{key}.{name}"))
    known = {name: value for name, value in arguments.items() if takes_any or name in named}
    try:
        (signature.bind_partial if partial else signature.bind)(*positional, **known)
    except TypeError as error:
        missing = next((name for name in named if f"'{name}'" in str(error)), "")
        unknown = [name for name in arguments if name not in named]
        if not (missing and suggest(missing, unknown)):  # one that is misspelt has been told
            problems.append(CompositionError(f"`{key}` ({target}): {error}; {takes}.", f"{key}._target_"))
    return problems
