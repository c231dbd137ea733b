"""Construction of the objects in a config. Nothing else in this package calls a target of a config."""

import functools
import importlib
import re
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from copy import copy
from typing import Any, Self, cast

from hydra.errors import HydraException
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from frame_train.composition.foreign.allow_list import AllowList
from frame_train.composition.signatures import describe, find_argument_problems, read_signature
from frame_train.errors import CompositionError, collected, describe_error, find_nearest, raise_any, suggest

Construct = Callable[[Callable[..., Any], Sequence[Any], Mapping[str, Any], str], Any]
"""Function that calls a target, given positional arguments, arguments by name, and the key of the node."""

RESERVED_KEYS = ("_target_", "_args_", "_partial_", "_convert_", "_recursive_", "_copy_")
"""Keys of a node that control the call of its target."""

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

_INSTALLED = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


class Composition:
    """The objects that one config describes, each built once.

    `instantiate` returns the same values as `hydra.utils.instantiate`, with two differences. A node that two keys refer
    to (``${model}``) is one object; Hydra makes a copy for each reference, and so does ``_copy_: true``.
    Containers are plain dictionaries and lists.

    >>> from omegaconf import OmegaConf
    >>> config = OmegaConf.create({"part": {"_target_": "collections.Counter"}, "pair": ["${part}", "${part}"]})
    >>> first, second = Composition().instantiate(config.pair)
    >>> first is second
    True

    Args:
        construct: Calls a target, in place of `construct_target`.
        find_all: Whether to build everything else after a mistake, and to raise all mistakes together.
    """

    def __init__(self, construct: Construct | None = None, find_all: bool = False) -> None:
        self._construct = construct or construct_target
        self._allowed: AllowList | None = None  # everything
        self._find_all = find_all
        self._nodes: list[Any] = []  # keeps them alive, since `id` identifies them
        self._objects: dict[int, Any] = {}
        self._open: dict[int, str] = {}

    def instantiate(self, node: Any) -> Any:
        """Build the object that a config node describes.

        Args:
            node: Part of a composed config, or a plain value, which is returned unchanged.

        Returns:
            The object that ``_target_`` makes, or a dictionary, list or value.

        Raises:
            CompositionError: Something can't be built. The message names its key.
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

    def limited_to(self, allowed: AllowList) -> Self:
        """Return a composition that shares the objects of this one, and builds others only if a list allows them."""
        limited = copy(self)
        limited._allowed = allowed
        return limited

    def list_built(self) -> list[tuple[DictConfig | ListConfig, Any]]:
        """Return the objects built so far, each with its node."""
        return [(node, self._objects[id(node)]) for node in self._nodes]

    def _build_list(self, node: ListConfig) -> list[Any]:
        return list(self._build_entries(node, range(len(node))).values())

    def _build_dictionary(self, node: DictConfig) -> Any:
        if "_target_" not in node:
            return self._build_entries(node, node)
        names = [str(name) for name in node if name not in RESERVED_KEYS]
        build = self.instantiate if node.get("_recursive_", True) else _identity
        arguments = self._build_entries(node, names, build)
        positional = self.instantiate(read_entry(node, "_args_")) if "_args_" in node else []
        if not isinstance(positional, list):
            key = get_key(node, "_args_")
            raise CompositionError(f"`{key}` must be of type list, got {positional!r}.", key)
        path = read_entry(node, "_target_")
        target = find_target(path, get_key(node), self._allowed)
        if self._allowed is not None:
            positional, arguments = self._allowed.restrict_arguments(path, target, positional, arguments)
        if node.get("_partial_"):
            signature = read_signature(target)
            raise_any(find_argument_problems(signature, positional, arguments, get_key(node), partial=True))
            return functools.partial(target, *positional, **arguments)
        return self._construct(target, positional, arguments, get_key(node))

    def _build_entries(
        self, node: DictConfig | ListConfig, names: Iterable[Any], build: Callable[[Any], Any] | None = None
    ) -> dict[Any, Any]:
        values: dict[Any, Any] = {}
        problems: list[CompositionError] = []
        for name in names:
            with collected(problems) if self._find_all else nullcontext():
                values[name] = (build or self.instantiate)(read_entry(node, name))
        raise_any(problems)
        return values


def find_target(path: Any, key: str, allowed: AllowList | None = None) -> Callable[..., Any]:
    """Import the ``_target_`` of the node ``key``.

    Raises:
        CompositionError: The target does not exist, or a config may not call it.
    """
    key = f"{key}._target_"
    if not isinstance(path, str):
        raise CompositionError(
            f"`{key}` must name a class or a function, such as `torch.nn.Linear`, got {path!r}.", key
        )
    if not all(name.isidentifier() for name in path.split(".")):  # Hydra would resolve an interpolation in it
        meant = path.removeprefix("./").replace("/", ".")
        advice = f" Write `{meant}`." if re.fullmatch(r"\w+(\.\w+)+", meant) else ""
        raise CompositionError(f"`{key}` must be a dotted name, such as `torch.nn.Linear`, got {path!r}.{advice}", key)
    if "." not in path or path.endswith(".py"):
        example = f"{path.removesuffix('.py')}.CLASS" if path.endswith(".py") else f"MODULE.{path}"
        raise CompositionError(f"`{key}` must name a module and a class in it, got {path!r}. Write `{example}`.", key)
    private = [name for name in path.split(".") if re.match("_[^_]", name)]
    if private:
        raise CompositionError(f"`{key}`: a config can't use the private name `{private[0]}` in `{path}`.", key)
    if allowed is not None:
        allowed.check_name(path, key)
    module = path.rpartition(".")[0]
    try:
        with warnings.catch_warnings():  # Hydra 1.4 warns of a call without a list of allowed targets
            warnings.filterwarnings("ignore", r"hydra\.utils\.instantiate\(\) resolved _target_")
            target = hydra_instantiate({"_target_": path, "_partial_": True}).func
    except SystemExit as error:  # a script that parses its own command line
        message = (
            f"`{module}` ends the program when it is imported. Put its commands under `if __name__ == '__main__':`."
        )
        raise CompositionError(message, key) from error
    except HydraException as error:
        reason = " ".join(str(error).split())
        failure = _describe_failed_import(error)
        if failure:  # reported once, however many targets are in that module
            raise CompositionError(f"`{module}` can't be imported: {failure}", key) from error
        if "Error locating target" in reason:
            raise CompositionError(f"`{key}`: there is no `{path}`.{_explain_missing(path)}", key) from error
        if "Expected a callable target" in reason:
            reason = f"`{path}` must be a class or a function, got one of type {reason.rpartition(' of type ')[2]}."
        elif "is blocklisted" in reason:
            reason = f"Hydra does not allow `{path}` in a config, because it can execute commands."
        raise CompositionError(f"`{key}`: {reason}", key) from error
    if allowed is not None:
        allowed.check_target(path, target, key)
    return target


def construct_target(
    target: Callable[..., Any], positional: Sequence[Any], arguments: Mapping[str, Any], key: str
) -> Any:
    """Call the target of the node ``key``.

    Raises:
        CompositionError: The arguments do not fit, or the target raises. The message names the key and the target.
    """
    raise_any(find_argument_problems(read_signature(target), positional, arguments, key))
    try:
        return target(*positional, **arguments)
    except Exception as error:
        raise CompositionError(f"`{key}` ({describe(target)}): {describe_error(error)}", key) from error


def get_key(node: DictConfig | ListConfig, name: Any = None) -> str:
    """Return the full key of a node, or of an entry of it."""
    if name is not None:
        return node._get_full_key(name)  # pyright: ignore[reportPrivateUsage]  # Hydra's instantiate uses it too
    if isinstance(node, ListConfig):
        return get_key(node, 0).removesuffix("[0]")
    return get_key(node, "_").removesuffix("_").removesuffix(".")  # OmegaConf names the element `a[0]` of a list `a0`


def read_entry(node: DictConfig | ListConfig, name: Any) -> Any:
    """Read one entry of a node, with its interpolation resolved.

    Raises:
        CompositionError: The interpolation can't be resolved, or the entry is missing.
    """
    try:
        return node[name]
    except MissingMandatoryValue as error:
        key = get_key(node, name)
        raise CompositionError(f"`{key}` has no value (`???`). Set `{key}=...`.", key) from error
    except OmegaConfBaseException as error:
        key = get_key(node, name)
        reason = str(error).splitlines()[0]
        unknown = re.fullmatch(r"Interpolation key '(\w[\w.]*)' not found", reason)
        if unknown:
            root = cast(DictConfig, node._get_root())  # pyright: ignore[reportPrivateUsage]
            hint = suggest_key(unknown[1], [other for other in iterate_keys(root) if other != key])
            raise CompositionError(f"`{key}` refers to `{unknown[1]}`, which does not exist.{hint}", key) from error
        cause = re.fullmatch(r'KeyError raised while resolving interpolation: "(.+)"', reason)
        raise CompositionError(f"`{key}`: {cause[1] if cause else reason}.", key) from error


def suggest_key(key: str, known: Sequence[str]) -> str:
    """Suggest a sibling of a wrong key, or else a key of the same name elsewhere, or else any similar key."""
    parent, dot, last = key.rpartition(".")
    siblings = [name.removeprefix(parent + dot) for name in known if name.rpartition(".")[0] == parent]
    nearest = find_nearest(last, siblings)
    if nearest:
        return f" Did you mean `{parent}{dot}{nearest}`?"
    elsewhere = [name for name in known if name.endswith(f".{last}")]
    if elsewhere:
        return f" Did you mean `{elsewhere[0]}`?"
    return "" if siblings else suggest(key, known)


def iterate_keys(config: DictConfig, prefix: str = "") -> Iterator[str]:
    """Yield the full keys of a config."""
    name: Any
    for name in config:  # also a number, such as the position of a point of a schedule
        yield f"{prefix}{name}"
        if not OmegaConf.is_interpolation(config, name) and not OmegaConf.is_missing(config, name):
            child = config[name]
            if isinstance(child, DictConfig):
                yield from iterate_keys(child, f"{prefix}{name}.")


def iterate_components(node: Any, known: set[int] | None = None) -> Iterator[DictConfig]:
    """Yield each component that a node contains or refers to, once. Entries that can't be read are skipped."""
    known = set() if known is None else known
    if not isinstance(node, DictConfig | ListConfig) or id(node) in known:
        return
    known.add(id(node))
    if isinstance(node, DictConfig) and "_target_" in node:
        yield node
    for name in range(len(node)) if isinstance(node, ListConfig) else list(node):
        with suppress(CompositionError):
            yield from iterate_components(read_entry(node, name), known)


def _identity(value: Any) -> Any:
    return value


def _describe_failed_import(error: HydraException) -> str:
    """Return the file, the line and the error of a module that can't be executed; empty if it does not exist."""
    cause = error.__cause__ and error.__cause__.__cause__
    if cause is None:
        return ""
    if isinstance(cause, SyntaxError):
        return f"{cause.filename}, line {cause.lineno}: {type(cause).__name__}: {cause.msg}"
    _, *frames = traceback.extract_tb(cause.__traceback__)  # the first is Hydra's
    frames = [frame for frame in frames if not frame.filename.startswith(("<frozen ", str(importlib.__file__)))]
    own = [frame for frame in frames if not frame.filename.startswith(_INSTALLED)] or frames
    return f"{own[-1].filename}, line {own[-1].lineno}: {type(cause).__name__}: {cause}" if own else ""


def _explain_missing(path: str) -> str:
    """Explain which part of a dotted path does not exist, and suggest the nearest one that does."""
    parent, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(parent)
    except (ImportError, ValueError) as error:
        packages = {package: f"{package}.{path.partition('.')[2]}" for package in _KNOWN_PACKAGES}
        nearest = find_nearest(path.partition(".")[0], packages)
        hint = f"Did you mean `{packages[nearest]}`?" if nearest else "Run the command in the folder that contains it."
        return f" {error}. {hint}"
    public = getattr(module, "__all__", ())
    return suggest(name, public or dir(module)) or (f" `{parent}` has {', '.join(public)}." if public else "")
