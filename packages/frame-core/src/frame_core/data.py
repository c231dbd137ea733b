"""Data sets, their splits and their batches."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, Subset

from frame_core.collation import collate, name_elements


class SizedDataset(Protocol):
    """A map-style data set: a length, and an example at every index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


@runtime_checkable
class BatchedDataset(Protocol):
    """A data set that returns a whole batch at once, such as one held in memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Mapping[str, Tensor]: ...

    def get_batch(self, indices: Tensor) -> dict[str, Tensor]:
        """Return the examples at ``indices``, an integer tensor of shape (batch,), as tensors of shape (batch, ...)."""
        ...


@runtime_checkable
class WrapperDataset(Protocol):
    """A data set made of another one, ``data_set``; it is in memory if the other is, and has its ``collate_fn``."""

    @property
    def data_set(self) -> SizedDataset:
        """The data set that this one wraps."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


@runtime_checkable
class PrefetchingDataset(Protocol):
    """A data set that reads several batches itself, for example with data-loading workers."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...

    def read_batches(self, batches: Sequence[Tensor]) -> Iterable[dict[str, Any]]:
        """Read several batches, in order, each given by an integer tensor of indices of shape (batch,)."""
        ...


@runtime_checkable
class MovableDataset(Protocol):
    """An in-memory data set that can be copied to a device, so that its batches are made there."""

    @property
    def n_bytes(self) -> int | None:
        """Size of the copy in bytes; None if the data set wraps one that cannot be moved."""
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


def get_batch(data_set: SizedDataset, indices: Tensor) -> dict[str, Any]:
    """Return a batch of a data set as a dictionary.

    A data set with torch's ``__getitems__`` is called once per batch, any other once per example. Its ``collate_fn``
    makes a batch of the examples; `collate` does if it has none. Torch's ``Subset`` and ``ConcatDataset`` are read like
    the data sets that they wrap.

    Args:
        data_set: Examples are dictionaries, or tuples ``(x,)`` or ``(x, y)``, which become ``{"x": x, "y": y}``.
        indices: Integer tensor of shape (batch,).

    Returns:
        A dictionary of tensors of shape (batch, ...), and of lists of what can't be stacked, such as texts.

    Raises:
        TypeError: An example, or what a ``collate_fn`` returns, is neither a dictionary nor a tuple of one or two
            elements, or a value in it has an unknown type, such as a PIL image.
        ValueError: The examples differ in their names, or in the shape or type of a value.
    """
    if _is_batched(data_set):
        return cast(BatchedDataset, data_set).get_batch(indices)
    if _is_plain(data_set, Subset):
        return get_batch(cast(Any, data_set).dataset, _select(cast(Any, data_set).indices, indices))
    if _is_plain(data_set, ConcatDataset) and is_in_memory(data_set):
        return _read_parts(cast(Any, data_set).datasets, indices)
    examples = get_examples(data_set, indices.tolist())
    collate_fn = find_collate_fn(data_set)
    return collate(examples) if collate_fn is None else dict(name_elements(collate_fn(examples)))


def get_examples(data_set: SizedDataset, indices: Sequence[int]) -> Sequence[Any]:
    """Return several examples of a data set, in one call if it has torch's ``__getitems__``."""
    get_items = getattr(data_set, "__getitems__", None)
    return [data_set[index] for index in indices] if get_items is None else get_items(indices)


def find_collate_fn(data_set: SizedDataset) -> Callable[[Sequence[Any]], Any] | None:
    """Return the ``collate_fn`` of a data set, or of one that it wraps; None if there is none."""
    own = getattr(data_set, "collate_fn", None)
    return own or next(filter(None, map(find_collate_fn, _get_wrapped(data_set))), None)


def is_in_memory(data_set: SizedDataset) -> bool:
    """Return whether whole batches of a data set can be read without workers.

    This is so for a `BatchedDataset`, unless it wraps a data set that is not in memory.
    """
    is_plain = _is_plain(data_set, Subset) or _is_plain(data_set, ConcatDataset)
    return (is_plain or _is_batched(data_set)) and all(map(is_in_memory, _get_wrapped(data_set)))


def get_tensor(batch: Mapping[str, Tensor], name: str) -> Tensor:
    """Return the tensor that a batch holds under a name.

    Raises:
        TypeError: The value is not a tensor.
        ValueError: The batch has no such name. The message lists its names.
    """
    if name not in batch:
        raise ValueError(f"The batch has no `{name}`; it has {', '.join(f'`{other}`' for other in batch)}.")
    value: Any = batch[name]
    if not isinstance(value, Tensor):
        raise TypeError(f"`{name}` of the batch must be a tensor, got a {type(value).__name__}.")
    return value


def iterate_batches(data_set: SizedDataset, batch_size: int) -> Iterator[dict[str, Any]]:
    """Iterate once over a data set, in order. The last batch may be smaller.

    Raises:
        ValueError: ``batch_size`` is not positive.
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be positive, got {batch_size}.")
    indices = torch.arange(len(data_set))
    yield from read_batches(data_set, indices.split(batch_size) if len(indices) else ())


def read_batches(data_set: SizedDataset, batches: Sequence[Tensor]) -> Iterable[dict[str, Any]]:
    """Read several batches of a data set, in order: with its own ``read_batches``, or one by one with `get_batch`.

    Args:
        data_set: The data set.
        batches: The indices of each batch, an integer tensor of shape (batch,).
    """
    if isinstance(data_set, PrefetchingDataset):
        return data_set.read_batches(batches)
    return (get_batch(data_set, indices) for indices in batches)


def get_split(data: Mapping[str, SizedDataset], split: str) -> SizedDataset:
    """Return one split of the data.

    Raises:
        TypeError: The split has no length.
        ValueError: The split does not exist, is None or is empty. The message lists the splits.
    """
    if split not in data:
        raise ValueError(f"`data` has no split {split!r}; it has {', '.join(map(repr, data))}.")
    if data[split] is None:  # pyright: ignore[reportUnnecessaryComparison]  # a config may set null
        raise ValueError(f"Split {split!r} of `data` must be a data set, got None (`null`).")
    if not hasattr(data[split], "__len__"):
        name = type(data[split]).__name__
        raise TypeError(f"Split {split!r} of `data` must have a length, `__len__`, and `{name}` has none.")
    if len(data[split]) == 0:
        raise ValueError(f"Split {split!r} of `data` is empty; it needs at least 1 example.")
    return data[split]


def _is_plain(data_set: SizedDataset, wrapper: type) -> bool:
    """Return whether a data set is a wrapper of torch, whose examples no subclass changes."""
    return isinstance(data_set, wrapper) and type(data_set).__getitem__ is cast(Any, wrapper).__getitem__


def _is_batched(data_set: SizedDataset) -> bool:
    """Return whether the class of a data set is a `BatchedDataset`.

    An object may pass on unknown names to a data set that it wraps, whose batches are not its own. An ``isinstance`` of
    Python 3.11 accepts it, and takes as long as reading a small batch.
    """
    return hasattr(type(data_set), "get_batch")


def _get_wrapped(data_set: SizedDataset) -> Sequence[SizedDataset]:
    if isinstance(data_set, ConcatDataset):
        return cast(Any, data_set).datasets
    if isinstance(data_set, Subset):
        return [cast(Any, data_set).dataset]
    return [data_set.data_set] if isinstance(data_set, WrapperDataset) else []


def _select(chosen: Any, indices: Tensor) -> Tensor:
    """Return the elements of a sequence of indices, which may be a tensor, at ``indices``."""
    if isinstance(chosen, Tensor):
        return chosen[indices]
    return torch.tensor([chosen[index] for index in indices.tolist()])


def _read_parts(parts: Sequence[SizedDataset], indices: Tensor) -> dict[str, Any]:
    """Return a batch of several in-memory data sets, one after the other.

    Every part is read for every index, which needs no synchronization with the device of the indices.
    """
    batch: dict[str, Any] = {}
    start = 0
    for part in filter(len, parts):
        own = get_batch(part, (indices - start).clamp(0, len(part) - 1))
        if batch and batch.keys() != own.keys():
            found = f"{', '.join(map(repr, batch))} and {', '.join(map(repr, own))}"
            raise ValueError(f"The parts of a `ConcatDataset` must have the same names, got {found}.")
        batch = {name: _replace(batch.get(name, value), value, indices >= start) for name, value in own.items()}
        start += len(part)
    return batch


def _replace(values: Any, others: Any, chosen: Tensor) -> Any:
    """Replace the chosen values of a batch by others."""
    if isinstance(values, Tensor):
        return torch.where(chosen.view(-1, *[1] * (values.ndim - 1)), others, values)
    return [other if is_chosen else value for value, other, is_chosen in zip(values, others, chosen.tolist())]
