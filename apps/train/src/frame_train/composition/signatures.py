"""Checks of the arguments in a config against the signatures of their targets."""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Final, Literal, NamedTuple, Union, get_args, get_origin

from frame_train.errors import CompositionError, suggest

COMPONENT: Final = object()
"""Stand-in for an argument that has not been built. Any type accepts it."""

_PLAIN = (bool, int, float, str, NoneType, list, dict)
"""Types of plain values in a config. The type of a component is not checked, because its capabilities count."""

_CONTAINERS: tuple[Any, ...] = (list, tuple, dict, Iterable, Sequence, Mapping)


class TargetSignature(NamedTuple):
    """Full name of a target, and its signature."""

    name: str
    signature: inspect.Signature


def read_signature(target: Callable[..., Any]) -> TargetSignature | None:
    """Return the signature of a target, or None for a built-in without one."""
    try:
        signature = inspect.signature(target, eval_str=True)
    except ValueError:
        return None
    except (NameError, TypeError, SyntaxError, AttributeError):  # an annotation can't be evaluated
        signature = inspect.signature(target)
    return TargetSignature(describe(target), signature)


def describe(target: Callable[..., Any]) -> str:
    """Return the full name of a target."""
    if isinstance(target, functools.partial):
        return describe(target.func)
    return f"{target.__module__}.{target.__qualname__}"


def find_argument_problems(
    target: TargetSignature | None,
    positional: Sequence[Any],
    arguments: Mapping[str, Any],
    key: str,
    partial: bool = False,
) -> Iterator[CompositionError]:
    """Find missing and unknown arguments, and arguments of a wrong type.

    Args:
        target: The signature; None accepts all arguments.
        positional: The positional arguments.
        arguments: The arguments by name.
        key: Key of the node that has the arguments.
        partial: Whether further arguments are passed later.
    """
    if target is None:
        return
    yield from _find_unbound(target, positional, arguments, key, partial)
    for name, value in {**dict(zip(target.signature.parameters, positional)), **arguments}.items():
        parameter = target.signature.parameters.get(name)
        if parameter is None or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if not _accepts(parameter.annotation, value):
            expected = _name_type(parameter.annotation)
            yield CompositionError(f"`{key}.{name}` must be {expected}, got {value!r}.", f"{key}.{name}")


def _find_unbound(
    target: TargetSignature, positional: Sequence[Any], arguments: Mapping[str, Any], key: str, partial: bool
) -> Iterator[CompositionError]:
    parameters = target.signature.parameters.values()
    named = [part.name for part in parameters if part.kind in (part.POSITIONAL_OR_KEYWORD, part.KEYWORD_ONLY)]
    takes_any = any(part.kind is part.VAR_KEYWORD for part in parameters)
    unknown = [name for name in arguments if name not in named and not takes_any]
    all_names = f"Its arguments are {', '.join(f'`{name}`' for name in named)}." if named else "It has none."
    for name in unknown:
        reserved = " Did you mean `_target_`?" if name == "target" else ""
        hint = suggest(name, named) or reserved or f" {all_names}"
        yield CompositionError(f"`{key}`: {target.name} has no argument `{name}`.{hint}", f"{key}.{name}")
    bind = target.signature.bind_partial if partial else target.signature.bind
    try:
        bind(*positional, **{name: value for name, value in arguments.items() if name not in unknown})
    except TypeError as error:
        missing = next((name for name in named if f"'{name}'" in str(error)), "")
        if not suggest(missing, unknown):  # a misspelt argument is already reported
            yield CompositionError(f"`{key}` ({target.name}): {error}. {all_names}", f"{key}._target_")


def _accepts(annotation: Any, value: Any) -> bool:
    """Return whether a value fits an annotation. If pydantic has no schema for the annotation, any value fits."""
    if get_origin(annotation) in (Union, UnionType):
        return any(_accepts(part, value) for part in get_args(annotation))
    if _fits_evidently(annotation, value):
        return True
    from pydantic import ValidationError

    try:
        _make_adapter(annotation).validate_python(value)
    except ValidationError as error:
        return not any(isinstance(problem["input"], _PLAIN) for problem in error.errors())
    except Exception:  # pydantic raises several types if it can't resolve the annotation, or has no schema for it
        return True
    return True


def _fits_evidently(annotation: Any, value: Any) -> bool:
    """Return whether a value fits without asking pydantic, whose import takes two thirds as long as Hydra's."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return value in parts
    if isinstance(value, list) and origin in (list, Sequence):
        return all(_fits_evidently(parts[0], item) for item in value)
    if isinstance(value, dict) and origin in (dict, Mapping):
        return all(_fits_evidently(parts[1], item) for item in value.values())
    return annotation in (inspect.Parameter.empty, Any) or type(value) is annotation or not isinstance(value, _PLAIN)


@functools.cache
def _make_adapter(annotation: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(_make_strict(annotation), config=ConfigDict(arbitrary_types_allowed=True))


def _make_strict(annotation: Any) -> Any:
    """Make the scalars of an annotation strict.

    Containers are not strict, because YAML has no tuples. A string may be a number, because YAML reads the name `12` as
    a number.
    """
    from pydantic import StrictBool, StrictFloat, StrictInt, StrictStr

    origin, arguments = get_origin(annotation), tuple(map(_make_strict, get_args(annotation)))
    if origin in (Union, UnionType):
        return Union[arguments]  # noqa: UP007  # a tuple of types
    if origin in _CONTAINERS:
        return origin[arguments]
    strict = {bool: StrictBool, float: StrictFloat, int: StrictInt, str: StrictStr | StrictInt | StrictFloat}
    return strict.get(annotation, annotation) if isinstance(annotation, type) else annotation


def _name_type(annotation: Any) -> str:
    """Describe an annotation in words that follow "must be"."""
    origin = get_origin(annotation)
    parts = [part for part in get_args(annotation) if part not in (Ellipsis, NoneType)]
    if origin is Literal:
        return f"one of {', '.join(map(repr, parts))}"
    if origin is Callable:
        return "a component that can be called, such as one with `_partial_: true`"
    names = [_name_type(part) for part in parts]
    if origin in (Union, UnionType):
        return " or ".join(names).replace(" or of type ", " or ")
    if origin in _CONTAINERS:
        kind = "mapping" if issubclass(origin, Mapping) else "list"
        return f"a {kind} of {', '.join(name.removeprefix('of type ') for name in names)}"
    return f"of type {getattr(annotation, '__name__', annotation)}"
