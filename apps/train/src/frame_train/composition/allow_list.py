"""The classes and functions that a foreign config may build."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from frame_train.errors import CompositionError

_PACKAGES = (
    "frame_core",
    "frame_models",
    "frame_architectures",
    "frame_eval",
    "frame_loggers",
    "frame_train.data",
    "frame_train.optimization",
    "frame_train.callbacks",
)
_LIBRARIES = ("torch.nn", "torch.optim", "torch.distributions", "torchvision.datasets", "torchvision.transforms")
_CLASSES = ("torch.utils.data.Subset", "torch.utils.data.ConcatDataset")
_REFUSED = ("torchvision.datasets.lsun",)  # it unpickles a file in its folder, which executes code


class AllowList:
    """The public names of this project, the classes of torch and torchvision, and the names that a caller allows.

    Names alone are not safe: ``torch.nn.functional.torch.load`` begins with an allowed name. So the named object is
    checked as well. It must be public in one of our packages, or a class that an allowed library defines.

    Args:
        names: Further allowed names: a package or a module, which allows everything defined in it, or one dotted path.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._names = tuple(names)

    def check_name(self, path: str, key: str) -> None:
        """Check a ``_target_`` before anything is imported.

        Raises:
            CompositionError: The target is not below an allowed name.
        """
        if not _is_below(path, (*_PACKAGES, *_LIBRARIES, *_CLASSES, *self._names)):
            raise CompositionError(self._explain(path, key))

    def check_target(self, path: str, target: Callable[..., Any], key: str) -> None:
        """Check the object that a ``_target_`` names.

        Raises:
            CompositionError: The object is not public, is defined elsewhere, or is a function that no caller allows.
        """
        origin = getattr(target, "__module__", None) or ""
        is_named = path in self._names or (_is_below(path, self._names) and _is_below(origin, self._names))
        is_ours = any(_is_public(target, import_module(name)) for name in _PACKAGES if _is_below(path, [name]))
        is_known = inspect.isclass(target) and _is_below(origin, _LIBRARIES) and not _is_below(origin, _REFUSED)
        if not (is_named or is_ours or is_known or path in _CLASSES):
            raise CompositionError(self._explain(path, key))

    def _explain(self, path: str, key: str) -> str:
        public, libraries = ", ".join(_PACKAGES), ", ".join((*_LIBRARIES, *_CLASSES, *self._names))
        return (
            f"`{key}`: a foreign config may not build {path!r}, only public names of {public} and classes of "
            f"{libraries}.\nIf you trust it: `allow=[{path}]`."
        )


def _is_public(target: Callable[..., Any], module: ModuleType) -> bool:
    """Return whether a module, or a module that it exports, exports an object."""
    names: Sequence[str] = getattr(module, "__all__", ())
    name = getattr(target, "__name__", "")
    if name in names and getattr(module, name) is target:
        return True
    exported = (vars(module).get(other) for other in names)
    return any(_is_public(target, part) for part in exported if isinstance(part, ModuleType))


def _is_below(path: str, names: Iterable[str]) -> bool:
    return any(path == name or path.startswith(f"{name}.") for name in names)
