"""Batches of a data set, whole slices of tensors where the data set holds tensors."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import default_collate


class SizedDataset(Protocol):
    """A map-style data set: a length, and a datum at every index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


@runtime_checkable
class BatchedDataset(Protocol):
    """A data set that serves a whole batch at once, as one that fits in memory can."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Mapping[str, Tensor]: ...

    def get_batch(self, indices: Tensor) -> dict[str, Tensor]:
        """Give the data at ``indices``, an integer tensor of shape (batch,), each value (batch, ...)."""
        ...


@runtime_checkable
class MovableDataset(Protocol):
    """An in-memory data set that can be copied to a device, where its batches are made from then on."""

    @property
    def n_bytes(self) -> int | None:
        """Size of the copy in bytes; None if the data set wraps one that can't be moved."""
        ...

    def to(self, device: torch.device) -> SizedDataset:
        """Return a copy on a device, whose ``get_batch`` takes indices and returns batches on that device."""
        ...


@runtime_checkable
class DeclaredDataset(Protocol):
    """A class of data sets that declares the form of its examples without reading them."""

    @classmethod
    def synthesize(cls, *args: Any, **kwargs: Any) -> SizedDataset:
        """Return synthetic examples of the form that the constructor's arguments describe."""
        ...


def get_batch(data_set: SizedDataset, indices: Tensor) -> dict[str, Tensor]:
    """Give a batch of a data set as a dictionary of tensors.

    A data set with torch's ``__getitems__`` is asked for all data at once, any other for one after the other.

    Args:
        data_set: Its data are dictionaries, or tuples ``(x, y)``, which become ``{"x", "y"}``.
        indices: Integer tensor of shape (batch,).

    Returns:
        A dictionary of tensors of shape (batch, ...).

    Raises:
        TypeError: The data are neither dictionaries nor tuples of one or two parts, or hold what can't be put into
            a tensor, as pictures of PIL.
    """
    if isinstance(data_set, BatchedDataset):
        return data_set.get_batch(indices)
    data = [_as_dictionary(datum) for datum in _get_data(data_set, indices.tolist())]
    try:
        return default_collate(data)
    except TypeError:
        for name, value in data[0].items():
            _check_collatable(name, value)
        raise


def get_tensor(batch: Mapping[str, Tensor], name: str) -> Tensor:
    """Give what a batch holds under a name.

    Raises:
        ValueError: It holds nothing there, and what it does hold is listed.
    """
    if name not in batch:
        raise ValueError(f"The batch has no `{name}`; it has {', '.join(f'`{other}`' for other in batch)}.")
    return batch[name]


def iterate_batches(data_set: SizedDataset, batch_size: int) -> Iterator[dict[str, Tensor]]:
    """Go once through a data set in its order; the last batch may be smaller.

    Raises:
        ValueError: ``batch_size`` is not positive.
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be positive, got {batch_size}.")
    indices = torch.arange(len(data_set))
    yield from read_batches(data_set, indices.split(batch_size) if len(indices) else ())


def read_batches(data_set: SizedDataset, batches: Sequence[Tensor]) -> Iterable[dict[str, Tensor]]:
    """Read several batches of a data set, one after the other, as `get_batch` does or what `reading` names.

    Args:
        data_set: The data.
        batches: Integer tensors of shape (batch,), the indices of each.
    """
    return _reader.get()(data_set, batches)


@contextmanager
def reading(read: Callable[[SizedDataset, Sequence[Tensor]], Iterable[dict[str, Tensor]]]) -> Generator[None]:
    """Let what goes through a data set, such as an evaluation, have its batches from elsewhere, such as from workers.

    Args:
        read: Takes the place of `read_batches`, and gives the same.
    """
    token = _reader.set(read)
    try:
        yield
    finally:
        _reader.reset(token)


def get_split(data: Mapping[str, SizedDataset], split: str) -> SizedDataset:
    """Give one split of the data, with at least one datum in it.

    Raises:
        ValueError: There is no such split, and those there are are listed; or nothing is in it.
    """
    if split not in data:
        raise ValueError(f"`data` has no split {split!r}; it has {', '.join(map(repr, data))}.")
    if data[split] is None:  # pyright: ignore[reportUnnecessaryComparison]  # as a config may say
        raise ValueError(f"Split {split!r} of `data` must be a data set, got None (`null`).")
    if len(data[split]) == 0:
        raise ValueError(f"Split {split!r} of `data` is empty.")
    return data[split]


def _read_here(data_set: SizedDataset, batches: Sequence[Tensor]) -> Iterable[dict[str, Tensor]]:
    return (get_batch(data_set, indices) for indices in batches)


_reader: ContextVar[Callable[[SizedDataset, Sequence[Tensor]], Iterable[dict[str, Tensor]]]] = ContextVar(
    "reader", default=_read_here
)


def _get_data(data_set: SizedDataset, indices: list[int]) -> Sequence[Any]:
    get_items = getattr(data_set, "__getitems__", None)
    return [data_set[index] for index in indices] if get_items is None else get_items(indices)


def _as_dictionary(datum: Any) -> Mapping[str, Any]:
    if isinstance(datum, Mapping):
        return datum
    if isinstance(datum, tuple | list) and len(datum) in (1, 2):
        return dict(zip(("x", "y"), datum))
    raise TypeError(f"A datum must be a dictionary or a tuple, (x,) or (x, y), got {_describe(datum)}.")


def _check_collatable(name: str, value: Any) -> None:
    try:
        default_collate([value])
    except TypeError:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        message = f"`{name}` of a datum must be a tensor, an array or a number, got {kind}."
        if kind.startswith("PIL."):
            message += " `transform: {_target_: torchvision.transforms.ToTensor}` makes tensors of pictures."
        raise TypeError(message) from None


def _describe(datum: Any) -> str:
    if isinstance(datum, tuple | list):
        return f"a {type(datum).__name__} of {len(datum)} parts"
    return type(datum).__name__
