"""From a config to objects: the one place where anything that a config names is built."""

import functools
import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, cast

from hydra.errors import HydraException
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from frame_train.composition.allow_list import AllowList
from frame_train.composition.signatures import describe, find_argument_problems
from frame_train.errors import CompositionError, raise_any, suggest

Construct = Callable[[Callable[..., Any], Sequence[Any], Mapping[str, Any], str], Any]
"""What calls a target with positional and named arguments, given the key of its node."""

RESERVED_KEYS = ("_target_", "_args_", "_partial_", "_convert_", "_recursive_", "_copy_")
"""Keys of a node that say how its target is called."""

_KNOWN_PACKAGES = (
    "frame_core",
    "frame_models",
    "frame_architectures",
    "frame_eval",
    "frame_loggers",
    "frame_train",
    "torch",
    "torchvision",
    "pytorch_lightning",
)


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

    Args:
        construct: Calls a target, in place of `construct_target`.
        allowed: What may be built, for a config that comes from elsewhere; None for anything.
    """

    def __init__(self, construct: Construct | None = None, allowed: AllowList | None = None) -> None:
        self._construct = construct or construct_target
        self._allowed = allowed
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
            through = " → ".join(self._open.values())
            raise CompositionError(f"`{get_key(node)}` refers to itself, through {through}.", get_key(node))
        self._open[id(node)] = f"`{get_key(node)}`"
        try:
            value = self._build_list(node) if isinstance(node, ListConfig) else self._build_dictionary(node)
        finally:
            del self._open[id(node)]
        if not (isinstance(node, DictConfig) and node.get("_copy_")):
            self._nodes.append(node)
            self._objects[id(node)] = value
        return value

    def list_built(self) -> dict[str, Any]:
        """Give what was built, by key."""
        return {get_key(node): self._objects[id(node)] for node in self._nodes}

    def _build_list(self, node: ListConfig) -> list[Any]:
        return [self.instantiate(read_entry(node, index)) for index in range(len(node))]

    def _build_dictionary(self, node: DictConfig) -> Any:
        if "_target_" not in node:
            return {name: self.instantiate(read_entry(node, name)) for name in node}
        names = [str(name) for name in node if name not in RESERVED_KEYS]
        build = self.instantiate if node.get("_recursive_", True) else _identity
        arguments = {name: build(read_entry(node, name)) for name in names}
        positional = self.instantiate(read_entry(node, "_args_")) if "_args_" in node else []
        if not isinstance(positional, list):
            key = get_key(node, "_args_")
            raise CompositionError(f"`{key}` must be of type list, got {positional!r}.", key)
        target = find_target(read_entry(node, "_target_"), get_key(node), self._allowed)
        try:
            if node.get("_partial_"):
                raise_any(find_argument_problems(target, positional, arguments, get_key(node), partial=True))
                return functools.partial(target, *positional, **arguments)
            return self._construct(target, positional, arguments, get_key(node))
        except CompositionError as error:
            raise trace_origin(error, node) from error


def find_target(path: Any, key: str, allowed: AllowList | None = None) -> Callable[..., Any]:
    """Import what the ``_target_`` of the node ``key`` names, if it may be built.

    Raises:
        CompositionError: There is no such thing, or it may not be called from a config.
    """
    key = f"{key}._target_"
    if not isinstance(path, str):
        raise CompositionError(
            f"`{key}` must name a class or a function, such as `torch.nn.Linear`, got {path!r}.", key
        )
    private = [name for name in path.split(".") if re.match("_[^_]", name)]
    if private:
        raise CompositionError(f"`{key}`: `{path}` is private: `{private[0]}` may not be used from a config.", key)
    if allowed is not None:
        allowed.check_name(path, key)
    try:
        target = hydra_instantiate({"_target_": path, "_partial_": True}).func
    except HydraException as error:
        reason = " ".join(str(error).split())
        if "Error locating target" in reason:
            raise CompositionError(f"`{key}`: there is no `{path}`.{_explain_missing(path)}", key) from error
        if "Expected a callable target" in reason:
            reason = f"`{path}` is no class or function, but of type {reason.rpartition(' of type ')[2]}."
        raise CompositionError(f"`{key}`: {reason}", key) from error
    if allowed is not None:
        allowed.check_target(path, target, key)
    return target


def construct_target(
    target: Callable[..., Any], positional: Sequence[Any], arguments: Mapping[str, Any], key: str
) -> Any:
    """Call a target that the node ``key`` names.

    Raises:
        CompositionError: It takes other arguments, or it raises; the message names the key and the target.
    """
    raise_any(find_argument_problems(target, positional, arguments, key))
    try:
        return target(*positional, **arguments)
    except Exception as error:
        where = "" if isinstance(error, ValueError | TypeError | OSError) else " (--traceback shows where.)"
        raise CompositionError(f"`{key}` ({describe(target)}): {error}{where}", key) from error


def get_key(node: DictConfig | ListConfig, name: Any = None) -> str:
    """Give the full key of a node, or of an entry of it."""
    return node._get_full_key(name)  # pyright: ignore[reportPrivateUsage]  # Hydra's instantiate uses it too


def read_entry(node: DictConfig | ListConfig, name: Any) -> Any:
    """Read one entry of a node, its interpolation resolved.

    Raises:
        CompositionError: It can't be resolved, or it is missing.
    """
    try:
        return node[name]
    except OmegaConfBaseException as error:
        raise CompositionError(
            f"`{get_key(node, name)}`: {str(error).splitlines()[0]}.", get_key(node, name)
        ) from error


def trace_in(config: DictConfig, error: CompositionError) -> CompositionError:
    """Add to a mistake which other key the argument refers to that it speaks of."""
    for key in (error.key, error.key.rpartition(".")[0]):
        node = OmegaConf.select(config, key) if key else None
        if isinstance(node, DictConfig):
            return trace_origin(error, node)
    return error


def trace_origin(error: CompositionError, node: DictConfig) -> CompositionError:
    """Add to a mistake in an argument of a node which other key the argument refers to."""
    raw = cast(dict[str, Any], OmegaConf.to_container(node, resolve=False))
    references = {name: value[2:-1] for name, value in raw.items() if re.fullmatch(r"\$\{[\w.]+\}", str(value))}
    named = [name for name in references if error.key == f"{get_key(node)}.{name}"]
    if error.key == get_key(node):  # what a target raised speaks of its arguments by their names
        named = [name for name in references if f"`{name}`" in str(error)]
    origins = [references[name] for name in named]
    return CompositionError(f"{error} It comes from `{origins[0]}`.", origins[0]) if origins else error


def _identity(value: Any) -> Any:
    return value


def _explain_missing(path: str) -> str:
    """Say which part of a dotted path is missing, and what is near it."""
    parent, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(parent)
    except (ImportError, ValueError) as error:
        packages = {package: f"{package}.{path.partition('.')[2]}" for package in _KNOWN_PACKAGES}
        nearest = get_close_matches(path.partition(".")[0], packages, n=1)
        return f" {error}." + (f" Did you mean `{packages[nearest[0]]}`?" if nearest else "")
    public = getattr(module, "__all__", ())
    return suggest(name, dir(module)) or (f" `{parent}` has {', '.join(public)}." if public else "")
