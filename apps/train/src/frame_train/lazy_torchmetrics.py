"""torchmetrics as Lightning needs it: its base classes and its version, the rest of it where it is asked for.

Lightning imports torchmetrics for two classes. Its package imports all metrics that there are, and they import
torchvision, scipy and a compiler of torch's: as long again as torch itself (``docs/performance.md``).
"""

import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import version
from types import ModuleType
from typing import Any

_NAME = "torchmetrics"
_KNOWN_VERSION = "1.9."  # of another one, all is imported
_BASE_CLASSES = {"Metric": f"{_NAME}.metric", "MetricCollection": f"{_NAME}.collections"}


def make_torchmetrics_lazy() -> None:
    """Let the package be executed when something else of it is asked for than what Lightning is; do it once."""
    if _NAME not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _NAME or not version(_NAME).startswith(_KNOWN_VERSION):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _LazyLoader(spec.loader)
        return spec


class _LazyLoader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def exec_module(self, module: ModuleType) -> None:
        """Give the module a function that Python calls for the names that it lacks (PEP 562)."""

        def get(name: str) -> Any:
            if name == "__version__":
                return version(_NAME)
            if name == "_logger":
                return logging.getLogger(_NAME)
            if name in _BASE_CLASSES:
                import_module(f"{_NAME}.utilities")  # which the base classes import, and which imports them
                return getattr(import_module(_BASE_CLASSES[name]), name)
            if name.startswith("__") and name != "__all__":
                raise AttributeError(f"module {_NAME!r} has no attribute {name!r}")
            del module.__dict__["__getattr__"]
            self._loader.exec_module(module)
            return getattr(module, name)

        module.__dict__["__getattr__"] = get
