"""What a config that comes from elsewhere may build: a config is code."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from frame_train.errors import CompositionError

_PROJECT = (
    "frame_core",
    "frame_models",
    "frame_architectures",
    "frame_eval",
    "frame_loggers",
    "frame_train.data",
    "frame_train.optimization",
    "frame_train.callbacks",
    "torch.nn",
    "torch.optim",
    "torch.distributions",
    "torchvision.datasets",
    "torchvision.transforms",
)
_REFUSED = ("torchvision.datasets.lsun",)  # reads a pickle, which is code too, from its folder


class AllowList:
    """The classes of this project's packages, of torch and torchvision, and what a caller allows by name.

    A name alone says little, since ``torch.nn.functional.torch.load`` begins with an allowed one: what it
    leads to must be a class, and must have been defined below an allowed name.

    Args:
        names: What is allowed besides: of a package or a module everything that is defined in it, or
            one dotted path.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._names = tuple(names)

    def check_name(self, path: str, key: str) -> None:
        """Check a ``_target_`` before anything is imported.

        Raises:
            CompositionError: It is not below an allowed name.
        """
        if not _is_below(path, (*_PROJECT, *self._names)):
            raise CompositionError(self._explain(path, key))

    def check_target(self, path: str, target: Callable[..., Any], key: str) -> None:
        """Check what a ``_target_`` has led to.

        Raises:
            CompositionError: It was defined elsewhere, or it is a function that no caller has allowed.
        """
        origin = getattr(target, "__module__", None) or ""
        if path in self._names or (_is_below(path, self._names) and _is_below(origin, self._names)):
            return
        if not inspect.isclass(target) or not _is_below(origin, (*_PROJECT, *self._names)):
            raise CompositionError(self._explain(path, key))
        if _is_below(origin, _REFUSED):
            raise CompositionError(self._explain(path, key))

    def _explain(self, path: str, key: str) -> str:
        return (
            f"`{key}`: a config from elsewhere may not build {path!r}, only classes of "
            f"{', '.join((*_PROJECT, *self._names))}.\nIf you trust it: `allow=[{path}]`."
        )


def _is_below(path: str, names: Iterable[str]) -> bool:
    return any(path == name or path.startswith(f"{name}.") for name in names)
