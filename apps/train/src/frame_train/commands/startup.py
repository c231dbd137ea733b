"""Packages that are imported for a name or two of them, executed where something else of them is asked for.

Together they take longer than torch itself (``docs/performance.md``):

- ``torchmetrics``, which imports torchvision, scipy and a compiler, is imported by Lightning for two base classes;
- ``torchmetrics.utilities.plot``, which imports matplotlib, by these for annotations and a function;
- ``torch.utils.flop_counter``, which imports triton, by Lightning for summaries of a model;
- ``torch._dynamo``, the compiler behind `torch.compile`, by Lightning for a class that it asks after, and by
  optimizers, to say what of them is not to be compiled;
- ``torchvision``, whose models import the compiler, by evaluations for a grid of pictures;
- ``wandb.sdk.launch``, by a run of W&B, for the one of its modules that knows whether it was started from a queue.
"""

import functools
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import FunctionType, ModuleType
from typing import Any

_COMPILER = "torch._dynamo"


def make_imports_lazy() -> None:
    """Let the packages be executed where they are needed, as far as they are not imported yet; do it once."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


@dataclass(frozen=True)
class _Package:
    """A package that is executed late.

    Args:
        distribution: What it belongs to.
        known_version: The version of it that is known; of another one, the package is executed at once.
        give: Gives what a name of it is without executing it, or raises LookupError.
        needs: Says whether a module of it is to be imported behind it, by its full name.
    """

    distribution: str
    known_version: str
    give: Callable[[str], Any]
    needs: Callable[[str], bool]

    @property
    def is_known(self) -> bool:
        """Whether it is of the version that is known."""
        return _read_version(self.distribution).startswith(self.known_version)


def _read_version(distribution: str) -> str:
    from importlib.metadata import version  # here: a command that only answers has no need of it

    return version(distribution)


def _give_of_torchmetrics(name: str) -> Any:
    if name == "__version__":
        return _read_version("torchmetrics")
    if name == "_logger":
        return logging.getLogger("torchmetrics")
    module = {"Metric": "torchmetrics.metric", "MetricCollection": "torchmetrics.collections"}[name]
    import_module("torchmetrics.utilities")  # which the base classes import, and which imports them
    return getattr(import_module(module), name)


def _give_nothing(name: str) -> Any:
    raise LookupError(name)


class _Later:
    """A function or a class of a package that is executed when it is called or derived from.

    Args:
        module: Full name of the module that it is in.
        name: Its name there.
    """

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._get()(*arguments, **options)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._get(),)

    def __instancecheck__(self, instance: Any) -> bool:
        return not _is_lazy(sys.modules[self._module]) and isinstance(instance, self._get())

    def __subclasscheck__(self, subclass: type) -> bool:
        return not _is_lazy(sys.modules[self._module]) and issubclass(subclass, self._get())

    def _get(self) -> Any:
        module = sys.modules[self._module]
        _execute(module)
        return getattr(module, self._name)


def _do_nothing(*arguments: Any, **options: Any) -> None:
    """Take the place of ``torch._dynamo.graph_break``, which tells something to what compiles."""


def _leave_out_of_compiling(function: Any = None, *arguments: Any, **options: Any) -> Any:
    """Take the place of ``torch._dynamo.disable``: before anything is compiled there is nothing to be left out of."""

    @functools.cache
    def disable() -> Any:
        _execute(sys.modules[_COMPILER])
        return sys.modules[_COMPILER].disable(function, *arguments, **options)

    if not isinstance(function, FunctionType):  # a class, a module, or none yet
        return disable()

    @functools.wraps(function)
    def call(*inputs: Any, **named: Any) -> Any:
        return (function if _is_lazy(sys.modules[_COMPILER]) else disable())(*inputs, **named)

    return call


_PLOT = "torchmetrics.utilities.plot"
_FLOPS = "torch.utils.flop_counter"
_GRIDS = "torchvision.utils"
_OF_PLOT = {
    "_AX_TYPE": Any,
    "_PLOT_OUT_TYPE": Any,
    "plot_single_or_multi_val": _Later(_PLOT, "plot_single_or_multi_val"),
}
_OF_COMPILER = {
    "disable": _leave_out_of_compiling,
    "graph_break": _do_nothing,
    "OptimizedModule": _Later(_COMPILER, "OptimizedModule"),
}
_OF_FLOPS = {"FlopCounterMode": _Later(_FLOPS, "FlopCounterMode")}
_PACKAGES = {
    "torchmetrics": _Package("torchmetrics", "1.9.", _give_of_torchmetrics, lambda module: False),
    _PLOT: _Package("torchmetrics", "1.9.", _OF_PLOT.__getitem__, lambda module: False),
    _COMPILER: _Package("torch", "2.15.", _OF_COMPILER.__getitem__, lambda module: True),
    _FLOPS: _Package("torch", "2.15.", _OF_FLOPS.__getitem__, lambda module: False),
    "torchvision": _Package("torchvision", "0.29.", _give_nothing, lambda module: module != _GRIDS),
    "wandb.sdk.launch": _Package("wandb", "0.31.", _give_nothing, lambda module: False),
}


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        parent = fullname.rpartition(".")[0]
        if parent in _PACKAGES and _PACKAGES[parent].needs(fullname):
            _execute(sys.modules[parent])
            if fullname in sys.modules:  # the parent has imported it; Python goes by the spec that the module has
                module = sys.modules[fullname]
                module.__spec__ = ModuleSpec(fullname, _Imported(module))
                return module.__spec__
        package = _PACKAGES.get(fullname)
        if package is None or not package.is_known:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _LazyLoader(spec.loader, package)
        return spec


class _Imported(Loader):
    """Gives a module that is there."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


class _LazyLoader(Loader):
    def __init__(self, loader: Loader, package: _Package) -> None:
        self._loader = loader
        self._package = package
        self._is_executing = False

    def exec_module(self, module: ModuleType) -> None:
        """Give the module a function that Python calls for the names that it lacks (PEP 562)."""

        def get(name: str) -> Any:
            if not self._is_executing:
                try:
                    return self._package.give(name)
                except LookupError:
                    pass
            if name.startswith("__") and name != "__all__":
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            with _lock:
                if self._is_executing:  # in this thread: the name is not there yet
                    raise AttributeError(f"partially initialized module {module.__name__!r} has no attribute {name!r}")
                _execute(module)
            return getattr(module, name)

        module.__dict__["__getattr__"] = self._get = get

    def execute(self, module: ModuleType) -> None:
        """Execute the module, after which it is as any other; where that raises, it stays as it was."""
        if self._is_executing:
            return
        self._is_executing = True
        try:
            self._loader.exec_module(module)
        finally:
            self._is_executing = False
        if module.__dict__.get("__getattr__") is self._get:
            del module.__dict__["__getattr__"]
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader


_lock = RLock()


def _is_lazy(module: ModuleType) -> bool:
    """Say whether a module is still to be executed."""
    return module.__spec__ is not None and isinstance(module.__spec__.loader, _LazyLoader)


def _execute(module: ModuleType) -> None:
    """Execute a module that was imported lazily, in one thread alone; of any other, nothing is to be done."""
    with _lock:
        loader = module.__spec__.loader if module.__spec__ is not None else None
        if isinstance(loader, _LazyLoader):
            loader.execute(module)
