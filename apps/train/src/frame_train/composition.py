"""From a config to objects: the one place where anything that a config names is built."""

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.errors import HydraException
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import DictConfig, ListConfig
from omegaconf.errors import OmegaConfBaseException

from frame_train.errors import CompositionError, suggest

_RESERVED_KEYS = ("_target_", "_args_", "_partial_", "_convert_", "_recursive_", "_copy_")


@dataclass
class Built:
    """What was built so far, by the identity of the config node, and the nodes being built now."""

    objects: dict[int, Any] = field(default_factory=dict)
    open_keys: dict[int, str] = field(default_factory=dict)


def instantiate(node: Any, key: str = "", built: Built | None = None) -> Any:
    """Build what a config node describes.

    It gives the same values as `hydra.utils.instantiate` with two differences: a node that is referred
    to twice (``${model}``) is one object, where Hydra makes a copy for each reference, unless it says
    ``_copy_: true``; and containers come as plain dictionaries and lists.

    Args:
        node: Part of a composed config, or a plain value, which is given back as it is.
        key: Where the node stands in the config, for messages.
        built: What calls before this one built from the same config, to share it.

    Returns:
        The object that ``_target_`` makes, or a dictionary, list or value.

    Raises:
        CompositionError: Something can't be built; the message names its key.
    """
    built = Built() if built is None else built
    if not isinstance(node, DictConfig | ListConfig):
        return node
    identity = id(node)
    if identity in built.objects:
        return built.objects[identity]
    if identity in built.open_keys:
        raise CompositionError(f"`{built.open_keys[identity]}` refers to itself through `{key}`.")
    built.open_keys[identity] = key
    value = _build_list(node, key, built) if isinstance(node, ListConfig) else _build_dictionary(node, key, built)
    del built.open_keys[identity]
    if not (isinstance(node, DictConfig) and node.get("_copy_")):
        built.objects[identity] = value
    return value


def _build_list(node: ListConfig, key: str, built: Built) -> list[Any]:
    return [instantiate(_read(node, index, key), f"{key}.{index}", built) for index in range(len(node))]


def _build_dictionary(node: DictConfig, key: str, built: Built) -> Any:
    if "_target_" not in node:
        return {name: _build_child(node, str(name), key, built) for name in node}
    names = [str(name) for name in node if name not in _RESERVED_KEYS]
    if node.get("_recursive_", True):
        arguments = {name: _build_child(node, name, key, built) for name in names}
    else:
        arguments = {name: _read(node, name, key) for name in names}
    positional = instantiate(node.get("_args_", []), f"{key}._args_", built)
    target = find_target(_read(node, "_target_", key), key)
    if node.get("_partial_"):
        _check_arguments(target, positional, arguments, key, partial=True)
        return functools.partial(target, *positional, **arguments)
    return construct(target, positional, arguments, key)


def _build_child(node: DictConfig, name: str, key: str, built: Built) -> Any:
    return instantiate(_read(node, name, key), f"{key}.{name}" if key else name, built)


def _read(node: Any, name: Any, key: str) -> Any:
    """Read one entry of a node, its interpolation resolved."""
    try:
        return node[name]
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise CompositionError(f"`{key}.{name}`: {reason}." if key else f"`{name}`: {reason}.") from error


def find_target(path: str, key: str) -> Callable[..., Any]:
    """Import what a ``_target_`` names.

    Raises:
        CompositionError: There is no such thing, or it may not be called from a config.
    """
    try:
        return hydra_instantiate({"_target_": path, "_partial_": True}).func
    except HydraException as error:
        if "Error locating target" not in str(error):
            raise CompositionError(f"`{key}._target_`: {error}") from error
        raise CompositionError(f"`{key}._target_`: there is no `{path}`.{_explain_missing(path)}") from error


def _explain_missing(path: str) -> str:
    """Say which part of a dotted path is missing, and what is near it."""
    parent, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(parent)
    except (ImportError, ValueError) as error:
        return f" {error}."
    return suggest(name, dir(module))


def construct(target: Callable[..., Any], positional: Sequence[Any], arguments: Mapping[str, Any], key: str) -> Any:
    """Call a target that a config names.

    Raises:
        CompositionError: It takes other arguments, or it raises; the message names the key and the target.
    """
    _check_arguments(target, positional, arguments, key)
    try:
        return target(*positional, **arguments)
    except Exception as error:
        raise CompositionError(f"`{key}` ({_describe(target)}): {error}") from error


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
        (signature.bind_partial if partial else signature.bind)(*positional, **arguments)
    except TypeError as error:
        raise CompositionError(f"`{key}` ({_describe(target)}): {error}.{_hint(signature, arguments)}") from error


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
