"""From a config to objects: the one place where anything that a config names is built."""

import functools
import importlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin

from hydra.errors import HydraException
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from frame_train.errors import CompositionError, suggest

_RESERVED_KEYS = ("_target_", "_args_", "_partial_", "_convert_", "_recursive_", "_copy_")


class Composition:
    """The objects that one config describes, each built once.

    It gives the same values as `hydra.utils.instantiate` with two differences: a node that is referred
    to twice (``${model}``) is one object, where Hydra makes a copy for each reference, unless it says
    ``_copy_: true``; and containers come as plain dictionaries and lists.

    >>> from omegaconf import OmegaConf
    >>> config = OmegaConf.create({"part": {"_target_": "collections.Counter"}, "pair": ["${part}", "${part}"]})
    >>> first, second = Composition().instantiate(config.pair)
    >>> first is second
    True
    """

    def __init__(self) -> None:
        self._nodes: list[Any] = []  # keeps what `id` was asked of alive
        self._objects: dict[int, Any] = {}
        self._open: dict[int, str] = {}

    def instantiate(self, node: Any) -> Any:
        """Build what a config node describes.

        Args:
            node: Part of a composed config, or a plain value, which is given back as it is.

        Returns:
            The object that ``_target_`` makes, or a dictionary, list or value.

        Raises:
            CompositionError: Something can't be built; the message names its key.
        """
        if not isinstance(node, DictConfig | ListConfig):
            return node
        if id(node) in self._objects:
            return self._objects[id(node)]
        if id(node) in self._open:
            raise CompositionError(f"`{_key(node)}` refers to itself, through {' → '.join(self._open.values())}.")
        self._open[id(node)] = f"`{_key(node)}`"
        value = self._build_list(node) if isinstance(node, ListConfig) else self._build_dictionary(node)
        del self._open[id(node)]
        if not (isinstance(node, DictConfig) and node.get("_copy_")):
            self._nodes.append(node)
            self._objects[id(node)] = value
        return value

    def _build_list(self, node: ListConfig) -> list[Any]:
        return [self.instantiate(_read(node, index)) for index in range(len(node))]

    def _build_dictionary(self, node: DictConfig) -> Any:
        if "_target_" not in node:
            return {name: self.instantiate(_read(node, name)) for name in node}
        names = [str(name) for name in node if name not in _RESERVED_KEYS]
        build = self.instantiate if node.get("_recursive_", True) else _identity
        arguments = {name: build(_read(node, name)) for name in names}
        positional = self.instantiate(node.get("_args_", []))
        target = find_target(_read(node, "_target_"), _key(node))
        try:
            if node.get("_partial_"):
                _check_arguments(target, positional, arguments, _key(node), partial=True)
                return functools.partial(target, *positional, **arguments)
            return construct(target, positional, arguments, _key(node))
        except CompositionError as error:
            raise CompositionError(f"{error}{_tell_origins(node, str(error))}") from error


def find_target(path: str, key: str) -> Callable[..., Any]:
    """Import what the ``_target_`` of the node ``key`` names.

    Raises:
        CompositionError: There is no such thing, or it may not be called from a config.
    """
    try:
        return hydra_instantiate({"_target_": path, "_partial_": True}).func
    except HydraException as error:
        if "Error locating target" not in str(error):
            raise CompositionError(f"`{key}._target_`: {' '.join(str(error).split())}") from error
        raise CompositionError(f"`{key}._target_`: there is no `{path}`.{_explain_missing(path)}") from error


def construct(target: Callable[..., Any], positional: Sequence[Any], arguments: Mapping[str, Any], key: str) -> Any:
    """Call a target that the node ``key`` names.

    Raises:
        CompositionError: It takes other arguments, or it raises; the message names the key and the target.
    """
    _check_arguments(target, positional, arguments, key)
    try:
        return target(*positional, **arguments)
    except Exception as error:
        where = "" if isinstance(error, ValueError | TypeError | OSError) else " (HYDRA_FULL_ERROR=1 shows where.)"
        raise CompositionError(f"`{key}` ({_describe(target)}): {error}{where}") from error


def _tell_origins(node: DictConfig, message: str) -> str:
    """Say from which other keys the arguments come that a message speaks of."""
    raw = cast(dict[str, Any], OmegaConf.to_container(node, resolve=False))
    references = {name: value[2:-1] for name, value in raw.items() if re.fullmatch(r"\$\{[\w.]+\}", str(value))}
    named = [name for name in references if f"`{name}`" in message or f".{name}`" in message]
    return "".join(f" It comes from `{references[name]}`." for name in named[:1])


def _identity(value: Any) -> Any:
    return value


def _key(node: DictConfig | ListConfig, name: Any = None) -> str:
    """Give the full key of a node, or of an entry of it."""
    return node._get_full_key(name)  # pyright: ignore[reportPrivateUsage]  # Hydra's instantiate uses it too


def _read(node: DictConfig | ListConfig, name: Any) -> Any:
    """Read one entry of a node, its interpolation resolved."""
    try:
        return node[name]
    except OmegaConfBaseException as error:
        raise CompositionError(f"`{_key(node, name)}`: {str(error).splitlines()[0]}.") from error


def _explain_missing(path: str) -> str:
    """Say which part of a dotted path is missing, and what is near it."""
    parent, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(parent)
    except (ImportError, ValueError) as error:
        return f" {error}."
    return suggest(name, dir(module))


def _check_arguments(
    target: Callable[..., Any],
    positional: Sequence[Any],
    arguments: Mapping[str, Any],
    key: str,
    partial: bool = False,
) -> None:
    try:
        signature = _read_signature(target)
    except ValueError:  # some built-in callables tell none
        return
    try:
        bound = (signature.bind_partial if partial else signature.bind)(*positional, **arguments)
    except TypeError as error:
        raise CompositionError(f"`{key}` ({_describe(target)}): {error}.{_hint(signature, arguments)}") from error
    for name, value in bound.arguments.items():
        expected = _simple_types(signature.parameters[name].annotation)
        if expected and not _is_of(value, expected):
            names = " or ".join(kind.__name__ for kind in expected if kind is not NoneType)
            raise CompositionError(f"`{key}.{name}` must be of type {names}, got {value!r}.")


def _read_signature(target: Callable[..., Any]) -> inspect.Signature:
    """Give a signature, annotations that are strings read where that is possible."""
    try:
        return inspect.signature(target, eval_str=True)
    except (NameError, TypeError, SyntaxError, AttributeError):
        return inspect.signature(target)


def _simple_types(annotation: Any) -> tuple[type, ...]:
    """Give the kinds of number that an annotation asks for; none where it admits anything else."""
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return kinds if all(kind in (int, float, bool, NoneType) for kind in kinds) else ()


def _is_of(value: Any, kinds: Sequence[type]) -> bool:
    return type(value) in kinds or (type(value) is int and float in kinds)


def _hint(signature: inspect.Signature, arguments: Mapping[str, Any]) -> str:
    """Say what a target takes, or what is nearest to an argument that it does not take."""
    accepted = [name for name, parameter in signature.parameters.items() if parameter.kind is not parameter.VAR_KEYWORD]
    unknown = next((name for name in arguments if name not in accepted), None)
    nearest = suggest(unknown, accepted) if unknown else ""
    return nearest or f" It takes {', '.join(f'`{name}`' for name in accepted)}."


def _describe(target: Callable[..., Any]) -> str:
    if isinstance(target, functools.partial):
        return _describe(target.func)
    return f"{target.__module__}.{target.__qualname__}"
