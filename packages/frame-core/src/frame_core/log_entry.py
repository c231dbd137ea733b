"""Log entries: the results of evaluations, and the input of loggers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol, SupportsFloat, runtime_checkable

import torch
from torch import Tensor


class EntryType(StrEnum):
    """Types of a `LogEntry`, which documents the value of each."""

    SCALAR = "scalar"
    SCALARS = "scalars"
    IMAGE = "image"
    PLOT = "plot"
    HISTOGRAM = "histogram"
    TEXT = "text"
    TABLE = "table"


SCALAR_ENTRY = EntryType.SCALAR
SCALARS_ENTRY = EntryType.SCALARS
IMAGE_ENTRY = EntryType.IMAGE
PLOT_ENTRY = EntryType.PLOT
HISTOGRAM_ENTRY = EntryType.HISTOGRAM
TEXT_ENTRY = EntryType.TEXT
TABLE_ENTRY = EntryType.TABLE


@runtime_checkable
class Figure(Protocol):
    """The part of `matplotlib.figure.Figure` that a plot needs."""

    def savefig(self, fname: Any, /) -> None: ...


@dataclass(frozen=True, eq=False)
class LogEntry:
    """A value to log, independent of the logger. It is validated, normalized and read-only.

    The accepted values of each type, and how they are stored:

    - ``SCALAR_ENTRY``: a number or a tensor of one element; a float
    - ``SCALARS_ENTRY``: a mapping of names to such numbers; a read-only mapping of floats
    - ``IMAGE_ENTRY``: a tensor (channels, height, width) of 1, 3 or 4 channels, uint8 or float in [0, 1]; a uint8
      tensor of that shape, on the CPU
    - ``PLOT_ENTRY``: a matplotlib figure; the figure
    - ``HISTOGRAM_ENTRY``: a non-empty tensor of real numbers; a float32 tensor (n,), on the CPU
    - ``TEXT_ENTRY``: a string; the string
    - ``TABLE_ENTRY``: a mapping of columns to equally long sequences; a read-only mapping of tuples

    Args:
        data_type: One of the types above, or its name.
        value: The value.
        seconds: Time that the evaluation took, or None if it was not measured.

    Raises:
        ValueError: ``data_type`` is not a type, or ``value`` is invalid for it.
        TypeError: ``value`` has the wrong Python type for ``data_type``.

    >>> LogEntry(data_type=SCALAR_ENTRY, value=torch.tensor(2.0)).value
    2.0
    """

    data_type: EntryType
    value: Any
    seconds: float | None = None

    def __post_init__(self) -> None:
        try:
            data_type = EntryType(self.data_type)
        except ValueError:
            raise ValueError(
                f"`data_type` must be one of {', '.join(map(repr, map(str, EntryType)))}, got {self.data_type!r}."
            ) from None
        object.__setattr__(self, "data_type", data_type)
        object.__setattr__(self, "value", _NORMALIZE[data_type](self.value))


def name_numbers(name: str, log_entry: LogEntry) -> dict[str, float]:
    """Return the numbers of an entry by full name: none if the entry is neither a scalar nor scalars.

    >>> name_numbers("Accuracy", LogEntry(SCALARS_ENTRY, {"mean": 0.5}))
    {'Accuracy/mean': 0.5}
    """
    if log_entry.data_type == SCALAR_ENTRY:
        return {name: log_entry.value}
    if log_entry.data_type == SCALARS_ENTRY:
        return {f"{name}/{key}": value for key, value in log_entry.value.items()}
    return {}


def _normalize_scalar(value: Any) -> float:
    if not isinstance(value, SupportsFloat):
        raise TypeError(f"A scalar entry must be a number, got {type(value).__name__}.")
    if not isinstance(value, Tensor):
        return float(value)
    if value.numel() != 1 or value.is_complex():
        raise ValueError(f"A scalar entry must be one real number, got {_describe(value)}.")
    return float(value.detach())


def _normalize_scalars(value: Any) -> Mapping[str, float]:
    values = _as_mapping(value, "A scalars entry must map names to numbers")
    return MappingProxyType({name: _normalize_scalar(number) for name, number in values.items()})


def _normalize_image(value: Any) -> Tensor:
    image = _as_tensor(value, "An image entry")
    if image.ndim != 3 or image.shape[0] not in (1, 3, 4) or image.numel() == 0:
        raise ValueError(
            "An image entry must have shape (channels, height, width) with 1, 3 or 4 channels, "
            f"got {_describe(image)}; use `torchvision.utils.make_grid` to arrange a batch in one image."
        )
    if image.dtype == torch.uint8:
        return image.cpu().clone()
    if not image.is_floating_point():
        raise TypeError(f"An image entry must be uint8 or floating point, got {image.dtype}.")
    low, high = (bound.item() for bound in image.aminmax())
    if not (low >= 0 and high <= 1):  # rejects NaN, too
        raise ValueError(f"A floating-point image entry must lie in [0, 1], got values in [{low:g}, {high:g}].")
    return (image * 255).round().to(torch.uint8).cpu()


def _normalize_plot(value: Any) -> Figure:
    if not isinstance(value, Figure):
        raise TypeError(f"A plot entry must be a matplotlib figure, got {type(value).__name__}.")
    return value


def _normalize_histogram(value: Any) -> Tensor:
    values = _as_tensor(value, "A histogram entry").flatten()
    if values.numel() == 0 or values.is_complex():
        raise ValueError(f"A histogram entry must have at least one real number, got {_describe(values)}.")
    return values.to("cpu", torch.float32, copy=True)


def _normalize_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"A text entry must be a string, got {type(value).__name__}.")
    return value


def _normalize_table(value: Any) -> Mapping[str, tuple[Any, ...]]:
    columns = _as_mapping(value, "A table entry must map column names to sequences")
    for name, column in columns.items():
        if isinstance(column, str) or not isinstance(column, Sequence):
            raise TypeError(f"Column {name!r} of a table entry must be a sequence, got {type(column).__name__}.")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"The columns of a table entry must be equally long, got lengths {lengths}.")
    return MappingProxyType({name: tuple(column) for name, column in columns.items()})


def _as_tensor(value: Any, what: str) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(f"{what} must be a tensor, got {type(value).__name__}.")
    return value.detach()


def _describe(tensor: Tensor) -> str:
    return f"a {tensor.dtype} tensor of shape {tuple(tensor.shape)}"


def _as_mapping(value: Any, expectation: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{expectation}, got {type(value).__name__}.")
    if not value:
        raise ValueError(f"{expectation}, got an empty mapping.")
    for name in value:
        if not isinstance(name, str):
            raise TypeError(f"{expectation}, got the name {name!r}, which is not a string.")
    return value


_NORMALIZE = {
    EntryType.SCALAR: _normalize_scalar,
    EntryType.SCALARS: _normalize_scalars,
    EntryType.IMAGE: _normalize_image,
    EntryType.PLOT: _normalize_plot,
    EntryType.HISTOGRAM: _normalize_histogram,
    EntryType.TEXT: _normalize_text,
    EntryType.TABLE: _normalize_table,
}
