"""Deferred execution of packages that a run imports for one or two names (``docs/performance.md``).

- ``torchmetrics``: Lightning imports two base classes. The rest imports torchvision, scipy and the compiler.
- ``torchmetrics.utilities.plot``: the base classes import a function and annotations. The rest imports matplotlib.
- ``torch._dynamo``: Lightning and the optimizers import the compiler behind `torch.compile`, which few runs use.
- ``torch.utils.flop_counter``: Lightning's summary of a model imports a class. The rest imports triton (95 MB).
- ``wandb.sdk.launch``: a run of W&B imports one module of it. The rest starts runs from a queue.
"""

import functools
import logging
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from threading import RLock
from types import FunctionType, ModuleType
from typing import Any

_COMPILER = "torch._dynamo"
_FLOPS = "torch.utils.flop_counter"
_PLOT = "torchmetrics.utilities.plot"
_KNOWN_VERSIONS = {
    "torch": "2.15.",
    "torchmetrics": "1.9.",
    "wandb": "0.31.",
}  # packages of other versions are not deferred
_lock = RLock()


def defer_packages() -> None:
    """Defer each package until a name without a stand-in is needed. Only commands call this: it is process-wide."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.startswith(f"{_COMPILER}."):  # modules in it need the package itself to be executed
            _execute(_COMPILER)
            if fullname in sys.modules:
                return ModuleSpec(fullname, _ImportedLoader(sys.modules[fullname]))
        distribution = fullname.partition(".")[0]
        if fullname not in _STAND_INS or not _read_version(distribution).startswith(_KNOWN_VERSIONS[distribution]):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _DeferringLoader(spec.loader)
        return spec


class _ImportedLoader(Loader):
    """Loader of a module that has been imported while its package was executed.

    A module with a spec would be executed again, by its own loader. So its spec is removed in the meantime.
    """

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__
        module.__spec__ = None

    def exec_module(self, module: ModuleType) -> None:
        self._module.__spec__ = self._spec
        sys.modules[module.__name__] = self._module


class _DeferringLoader(LazyLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        module.__class__ = _DeferredModule  # `LazyLoader` sets a class that is executed for any name


class _DeferredModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        try:
            return _STAND_INS[self.__name__](name)
        except LookupError:
            if name.startswith("__") and name != "__all__":
                raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None
        _execute(self.__name__)
        return getattr(self, name)


class _ExecutingModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        with _lock:  # another thread waits until the module is executed
            if type(self) is _ExecutingModule:
                raise AttributeError(f"partially initialized module {self.__name__!r} has no attribute {name!r}")
        return getattr(self, name)


def _execute(name: str) -> None:
    """Execute a module if it is deferred. If that raises, it stays deferred."""
    with _lock:
        module: Any = sys.modules[name]
        if not _is_deferred(name):
            return
        module.__class__ = _ExecutingModule
        try:
            module.__loader__.exec_module(module)
        except BaseException:
            module.__class__ = _DeferredModule
            raise
        module.__class__ = ModuleType


def _is_deferred(name: str) -> bool:
    return isinstance(sys.modules[name], _DeferredModule)


class _StandIn:
    """Stand-in for a function or a class of a deferred module. Calling it, or deriving from it, executes the module."""

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


class _StandInModule:
    """Stand-in for a module of a deferred package. A name that is not known executes the package.

    Args:
        name: Full name of the module.
        known: Functions that several processes call before anything is compiled. They stand in until then.
    """

    def __init__(self, name: str, **known: Callable[[], Any]) -> None:
        self._name = name
        self._known = known

    def __getattr__(self, name: str) -> Any:
        package = self._name.rpartition(".")[0]
        if name in self._known and _is_deferred(package):
            return self._known[name]
        _execute(package)
        return getattr(sys.modules[self._name], name)


def _disable(function: Any = None, *arguments: Any, **options: Any) -> Any:
    """Stand in for ``torch._dynamo.disable``. As long as nothing is compiled, a function is called directly."""
    disable = functools.cache(lambda: _StandIn(_COMPILER, "disable")(function, *arguments, **options))
    if not isinstance(function, FunctionType):  # a class, a module, or None in a decorator with arguments
        return disable()

    @functools.wraps(function)
    def call(*inputs: Any, **named: Any) -> Any:
        return (function if _is_deferred(_COMPILER) else disable())(*inputs, **named)

    return call


def _find_in_torchmetrics(name: str) -> Any:
    if name == "__version__":
        return _read_version("torchmetrics")
    if name == "_logger":
        return logging.getLogger("torchmetrics")
    module = {"Metric": "torchmetrics.metric", "MetricCollection": "torchmetrics.collections"}[name]
    import_module("torchmetrics.utilities")  # first: it and the base classes import each other
    return getattr(import_module(module), name)


def _read_version(distribution: str) -> str:
    from importlib.metadata import version  # not needed by commands that only print

    return version(distribution)


_STAND_INS: dict[str, Callable[[str], Any]] = {
    "torchmetrics": _find_in_torchmetrics,
    _PLOT: {
        "_AX_TYPE": Any,
        "_PLOT_OUT_TYPE": Any,
        "plot_single_or_multi_val": _StandIn(_PLOT, "plot_single_or_multi_val"),
    }.__getitem__,
    _FLOPS: {"FlopCounterMode": _StandIn(_FLOPS, "FlopCounterMode")}.__getitem__,
    "wandb.sdk.launch": {}.__getitem__,
    _COMPILER: {
        "disable": _disable,
        "graph_break": lambda **options: None,  # pyright: ignore[reportUnknownLambdaType]
        "OptimizedModule": _StandIn(_COMPILER, "OptimizedModule"),
        "trace_rules": _StandInModule(f"{_COMPILER}.trace_rules", clear_lru_cache=lambda: None),
        "utils": _StandInModule(f"{_COMPILER}.utils", get_optimize_ddp_mode=lambda: "ddp_optimizer"),  # the default
    }.__getitem__,
}
