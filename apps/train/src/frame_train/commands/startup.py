"""Deferred execution of packages that a run imports for one or two names.

Executed at once, they take longer than torch itself (``docs/performance.md``):

- ``torchmetrics``: Lightning imports two base classes. The rest imports torchvision, scipy and the compiler.
- ``torchmetrics.utilities.plot``: the base classes import a function and annotations. The rest imports matplotlib.
- ``torch._dynamo``: Lightning and the optimizers import the compiler behind `torch.compile`, which they rarely call.
- ``torch.utils.flop_counter``: Lightning imports a class for summaries of a model. The rest imports triton.
"""

import functools
import logging
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import FunctionType, ModuleType
from typing import Any

_COMPILER = "torch._dynamo"
_KNOWN_VERSIONS = {"torch": "2.15.", "torchmetrics": "1.9."}  # other versions are executed at once

_lock = RLock()


def defer_packages() -> None:
    """Defer the packages that are not imported yet: each is executed when a name without a stand-in is needed.

    Only commands call this: it changes how the whole process imports.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _read_version(distribution: str) -> str:
    from importlib.metadata import version  # a command that only prints does not need it

    return version(distribution)


class _StandIn:
    """A function or a class of a deferred module; the module is executed when it is called or derived from."""

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._get()(*arguments, **options)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._get(),)

    def __instancecheck__(self, instance: Any) -> bool:
        return not _is_deferred(self._module) and isinstance(instance, self._get())

    def __subclasscheck__(self, subclass: type) -> bool:
        return not _is_deferred(self._module) and issubclass(subclass, self._get())

    def _get(self) -> Any:
        _execute(self._module)
        return getattr(sys.modules[self._module], self._name)


def _find_in_torchmetrics(name: str) -> Any:
    if name == "__version__":
        return _read_version("torchmetrics")
    if name == "_logger":
        return logging.getLogger("torchmetrics")
    module = {"Metric": "torchmetrics.metric", "MetricCollection": "torchmetrics.collections"}[name]
    import_module("torchmetrics.utilities")  # imported by the base classes, and imports them
    return getattr(import_module(module), name)


def _disable(function: Any = None, *arguments: Any, **options: Any) -> Any:
    """Stand in for ``torch._dynamo.disable``: as long as nothing is compiled, a function needs no protection."""

    @functools.cache
    def disable() -> Any:
        _execute(_COMPILER)
        return sys.modules[_COMPILER].disable(function, *arguments, **options)

    if not isinstance(function, FunctionType):  # a class, a module, or the arguments of a decorator
        return disable()

    @functools.wraps(function)
    def call(*inputs: Any, **named: Any) -> Any:
        return (function if _is_deferred(_COMPILER) else disable())(*inputs, **named)

    return call


def _do_nothing(**options: Any) -> None:
    """Stand in for ``torch._dynamo.graph_break``, which has an effect only while something is compiled."""


def _make_stand_ins(module: str, *names: str, **others: Any) -> Callable[[str], Any]:
    return {**others, **{name: _StandIn(module, name) for name in names}}.__getitem__


_PLOT = "torchmetrics.utilities.plot"
_FLOPS = "torch.utils.flop_counter"
_DEFERRED: dict[str, Callable[[str], Any]] = {
    "torchmetrics": _find_in_torchmetrics,
    _PLOT: _make_stand_ins(_PLOT, "plot_single_or_multi_val", _AX_TYPE=Any, _PLOT_OUT_TYPE=Any),
    _COMPILER: _make_stand_ins(_COMPILER, "OptimizedModule", disable=_disable, graph_break=_do_nothing),
    _FLOPS: _make_stand_ins(_FLOPS, "FlopCounterMode"),
}
"""For each deferred module, a function that returns the stand-in for a name or raises LookupError."""


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.rpartition(".")[0] == _COMPILER:  # its modules need it executed; those of torchmetrics do not
            _execute(_COMPILER)
            if fullname in sys.modules:
                return ModuleSpec(fullname, _ImportedLoader(sys.modules[fullname]))
        distribution = fullname.partition(".")[0]
        if fullname not in _DEFERRED or not _read_version(distribution).startswith(_KNOWN_VERSIONS[distribution]):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _DeferringLoader(spec.loader, _DEFERRED[fullname])
        return spec


class _ImportedLoader(Loader):
    """Loader of a module that its package has imported meanwhile."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the import system has replaced it


class _DeferringLoader(Loader):
    """Loader that executes a module when a name without a stand-in is needed (PEP 562)."""

    def __init__(self, loader: Loader, find_stand_in: Callable[[str], Any]) -> None:
        self._loader = loader
        self._find_stand_in = find_stand_in
        self._is_executing = False

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__getattr__"] = functools.partial(self._get, module)

    def execute(self, module: ModuleType) -> None:
        """Execute the module; if that raises, it stays deferred."""
        if self._is_executing:
            return
        self._is_executing = True
        try:
            self._loader.exec_module(module)
        finally:
            self._is_executing = False
        if isinstance(module.__dict__["__getattr__"], functools.partial):  # not one of the module's own
            del module.__dict__["__getattr__"]
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader

    def _get(self, module: ModuleType, name: str) -> Any:
        if not self._is_executing:
            try:
                return self._find_stand_in(name)
            except LookupError:
                pass
        if not name.startswith("__") or name == "__all__":
            with _lock:
                if not self._is_executing:  # in this thread
                    _execute(module.__name__)
                    return getattr(module, name)
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")


def _is_deferred(name: str) -> bool:
    spec = sys.modules[name].__spec__
    return spec is not None and isinstance(spec.loader, _DeferringLoader)


def _execute(name: str) -> None:
    """Execute a deferred module, in one thread; do nothing for any other module."""
    with _lock:
        loader = getattr(sys.modules[name].__spec__, "loader", None)
        if isinstance(loader, _DeferringLoader):
            loader.execute(sys.modules[name])
