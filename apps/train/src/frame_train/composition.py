"""From a config to objects: the one place where anything that a config names is built."""

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hydra.errors import HydraException
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import DictConfig, ListConfig
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
        if node.get("_partial_"):
            _check_arguments(target, positional, arguments, _key(node), partial=True)
            return functools.partial(target, *positional, **arguments)
        return construct(target, positional, arguments, _key(node))


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
        raise CompositionError(f"`{key}` ({_describe(target)}): {error}") from error


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
        signature = inspect.signature(target)
    except ValueError:  # some built-in callables tell no signature
        return
    try:
        bound = (signature.bind_partial if partial else signature.bind)(*positional, **arguments)
    except TypeError as error:
        raise CompositionError(f"`{key}` ({_describe(target)}): {error}.{_hint(signature, arguments)}") from error
    for name, value in bound.arguments.items():
        expected = signature.parameters[name].annotation
        if expected in (int, float) and isinstance(value, str):
            raise CompositionError(f"`{key}.{name}` must be of type {expected.__name__}, got {value!r}.")


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
