"""Allow lists: the names that a foreign config may build, and the places that loggers write to."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from frame_train.errors import CompositionError


class _Part(NamedTuple):
    """Names that a part of a foreign config may build.

    Args:
        packages: Our packages; their public names are allowed.
        libraries: Packages of libraries; the classes that they define are allowed.
        classes: Single classes, as ``package.module.Class``.
    """

    packages: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


_MODEL = _Part(
    ("frame_core", "frame_models", "frame_architectures"),
    ("torch.nn", "torch.distributions", "torchvision.transforms"),
)
_DATA = _Part(
    ("frame_core", "frame_train.data"),
    ("torchvision.transforms",),
    (
        # Data sets that only read their own published files. Others extract archives that they find, execute
        # a pickle, or read any picture of this machine.
        "torchvision.datasets.fakedata.FakeData",
        "torchvision.datasets.mnist.MNIST",
        "torchvision.datasets.mnist.FashionMNIST",
        "torchvision.datasets.mnist.KMNIST",
        "torchvision.datasets.cifar.CIFAR10",
        "torchvision.datasets.cifar.CIFAR100",
        "torchvision.datasets.svhn.SVHN",
        "torchvision.datasets.stl10.STL10",
        "torch.utils.data.dataset.Subset",
        "torch.utils.data.dataset.ConcatDataset",
    ),
)
_EVALUATION = _Part(
    (*_MODEL.packages, "frame_train.data", "frame_eval"),
    _MODEL.libraries,
    (*_DATA.classes, "frame_train.callbacks.evaluation.EvaluationCallback"),
)
_LOGGER = _Part(classes=("frame_loggers.tensorboard.TensorBoardLogger", "frame_loggers.wandb.WandbLogger"))
_PARTS = {"optimization.data": _DATA, "evaluation": _EVALUATION, "logger": _LOGGER}
_LOGGERS = ("WandbLogger", "TensorBoardLogger")


class NotAllowedError(CompositionError):
    """A foreign config names something that it may not build."""


class AllowList:
    """Check of the names and objects that a part of a foreign config may build, and of their arguments.

    Names alone are not safe: ``torch.nn.functional.torch.load`` begins with an allowed name. So the named object is
    checked as well. It must be public in one of our packages, or a class that an allowed library defines.

    Args:
        part: The key that is built, such as ``optimization.model``.
        directory: The run directory, the only place that loggers write to.
        names: Names that the caller allows: a package or a module, which allows everything defined in it, or one dotted
            path. Their arguments are not restricted.
    """

    def __init__(self, part: str, directory: Path, names: Sequence[str] = ()) -> None:
        self._part = next((part_ for key, part_ in _PARTS.items() if _is_below(part, [key])), _MODEL)
        self._directory = directory
        self._names = tuple(names)

    def check_name(self, path: str, key: str) -> None:
        """Check a ``_target_`` before anything is imported.

        Raises:
            NotAllowedError: The target is not below an allowed name.
        """
        if not self.has_name(path):
            raise NotAllowedError(self._explain(path, key), key)

    def has_name(self, path: str) -> bool:
        """Return whether a target is below an allowed name."""
        is_class = any(
            path.endswith(f".{name.rpartition('.')[2]}") and _is_below(path, [name.rsplit(".", 2)[0]])
            for name in self._part.classes
        )
        return is_class or _is_below(path, (*self._part.packages, *self._part.libraries, *self._names))

    def check_target(self, path: str, target: Callable[..., Any], key: str) -> None:
        """Check the object that a ``_target_`` names.

        Raises:
            NotAllowedError: The object is not public, is defined elsewhere, or is a function that no caller allows.
        """
        is_ours = any(
            _is_public(target, import_module(name)) for name in self._part.packages if _is_below(path, [name])
        )
        known = (*self._part.libraries, *self._part.classes)
        is_known = inspect.isclass(target) and _is_below(f"{target.__module__}.{target.__qualname__}", known)
        if not (self._is_named(path, target) or is_ours or is_known):
            raise NotAllowedError(self._explain(path, key), key)

    def restrict_arguments(
        self, path: str, target: Callable[..., Any], positional: Sequence[Any], arguments: Mapping[str, Any]
    ) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """Return arguments with which a target downloads nothing, and logs only to the run directory."""
        forced: dict[str, Any] = {"download": False, "evaluated": True}
        if target.__name__ in _LOGGERS:
            older = self._directory / "tensorboard"  # the folder of the events of version 0.1
            is_older = target.__name__ == "TensorBoardLogger" and older.is_dir()
            forced["directory"] = str(older if is_older else self._directory)
        try:
            bound = inspect.signature(target).bind_partial(*positional, **arguments)
        except (TypeError, ValueError):  # the arguments do not fit, and the target is not called
            return positional, arguments
        forced = {name: value for name, value in forced.items() if name in bound.signature.parameters}
        if not forced or self._is_named(path, target):
            return positional, arguments
        bound.arguments.update(forced)
        return bound.args, bound.kwargs

    def _is_named(self, path: str, target: Callable[..., Any]) -> bool:
        origin = getattr(target, "__module__", None) or ""
        return path in self._names or (_is_below(path, self._names) and _is_below(origin, self._names))

    def _explain(self, path: str, key: str) -> str:
        classes = [name.rpartition(".")[2] for name in self._part.classes]
        allowed = ", ".join([*self._part.packages, *self._part.libraries, *classes])
        return (
            f"`{key}`: a foreign config can't build {path!r} here, only {allowed}.\n"
            f"If you trust it, add `allow=[{path}]`."
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
