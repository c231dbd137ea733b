"""Data sets, their splits and their batches."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import default_collate


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
class PrefetchingDataset(Protocol):
    """A data set that reads several batches itself, for example with data-loading workers."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...

    def read_batches(self, batches: Sequence[Tensor]) -> Iterable[dict[str, Tensor]]:
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


def get_batch(data_set: SizedDataset, indices: Tensor) -> dict[str, Tensor]:
    """Return a batch of a data set as a dictionary of tensors.

    A data set with torch's ``__getitems__`` is called once per batch, any other once per example.

    Args:
        data_set: Examples are dictionaries, or tuples ``(x,)`` or ``(x, y)``, which become ``{"x": x, "y": y}``.
        indices: Integer tensor of shape (batch,).

    Returns:
        A dictionary of tensors of shape (batch, ...).

    Raises:
        TypeError: An example is neither a dictionary nor a tuple of one or two elements, or a value in it cannot
            become a tensor, such as a PIL image.
    """
    if isinstance(data_set, BatchedDataset):
        return data_set.get_batch(indices)
    examples = [_as_dictionary(example) for example in _get_examples(data_set, indices.tolist())]
    try:
        return default_collate(examples)
    except TypeError:
        for name, value in examples[0].items():
            _check_collatable(name, value)
        raise


def get_tensor(batch: Mapping[str, Tensor], name: str) -> Tensor:
    """Return the tensor that a batch holds under a name.

    Raises:
        ValueError: There is no such name. The message lists the names there are.
    """
    if name not in batch:
        raise ValueError(f"The batch has no `{name}`; it has {', '.join(f'`{other}`' for other in batch)}.")
    return batch[name]


def iterate_batches(data_set: SizedDataset, batch_size: int) -> Iterator[dict[str, Tensor]]:
    """Iterate once over a data set, in order. The last batch may be smaller.

    Raises:
        ValueError: ``batch_size`` is not positive.
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be positive, got {batch_size}.")
    indices = torch.arange(len(data_set))
    yield from read_batches(data_set, indices.split(batch_size) if len(indices) else ())


def read_batches(data_set: SizedDataset, batches: Sequence[Tensor]) -> Iterable[dict[str, Tensor]]:
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
        ValueError: There is no such split, or it is None or empty. The message lists the splits there are.
    """
    if split not in data:
        raise ValueError(f"`data` has no split {split!r}; it has {', '.join(map(repr, data))}.")
    if data[split] is None:  # pyright: ignore[reportUnnecessaryComparison]  # a config may set null
        raise ValueError(f"Split {split!r} of `data` must be a data set, got None (`null`).")
    if len(data[split]) == 0:
        raise ValueError(f"Split {split!r} of `data` is empty; it needs at least 1 example.")
    return data[split]


def _get_examples(data_set: SizedDataset, indices: list[int]) -> Sequence[Any]:
    get_items = getattr(data_set, "__getitems__", None)
    return [data_set[index] for index in indices] if get_items is None else get_items(indices)


def _as_dictionary(example: Any) -> Mapping[str, Any]:
    if isinstance(example, Mapping):
        return example
    if isinstance(example, tuple | list) and len(example) in (1, 2):
        return dict(zip(("x", "y"), example))
    raise TypeError(f"An example must be a dictionary or a tuple, (x,) or (x, y), got {_describe(example)}.")


def _check_collatable(name: str, value: Any) -> None:
    try:
        default_collate([value])
    except TypeError:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        message = f"`{name}` of an example must be a tensor, an array or a number, got {kind}."
        if kind.startswith("PIL."):
            message += " Set `transform: {_target_: torchvision.transforms.ToTensor}` to turn images into tensors."
        raise TypeError(message) from None


def _describe(example: Any) -> str:
    if isinstance(example, tuple | list):
        return f"a {type(example).__name__} of length {len(example)}"
    return type(example).__name__
