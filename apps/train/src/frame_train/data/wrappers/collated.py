"""Data sets with their own collation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.utils.data import Dataset

from frame_core import SizedDataset, collate, find_collate_fn, get_examples, name_elements


class Collated(Dataset[Any]):
    """Wrapper that sets the ``collate_fn`` of a data set, or the names of the elements of its tuples.

    A data set that has a method ``collate_fn`` needs no wrapper.

    Args:
        data_set: The data set.
        collate_fn: Function from a list of examples to a batch, which is a dictionary or a tuple. None for the
            ``collate_fn`` of ``data_set``, or else `frame_core.collate`.
        names: Names of the elements of a tuple; None for ``x``, or ``x`` and ``y``.

    Raises:
        TypeError: ``collate_fn`` is not callable.
        ValueError: ``names`` has no name, or one twice.
    """

    def __init__(
        self,
        data_set: SizedDataset,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        if collate_fn is not None and not callable(collate_fn):
            raise TypeError(
                "`collate_fn` must be a function of a list of examples, such as "
                f"`{{_target_: my_data.pad, _partial_: true}}`, got {collate_fn!r}."
            )
        if names is not None and (isinstance(names, str) or not names or len(set(names)) < len(names)):
            raise ValueError(f"`names` must be a list of different names, such as [x, y, weight], got {names!r}.")
        self.data_set = data_set
        self._collate_fn = collate_fn or find_collate_fn(data_set)
        self._names = names

    def __len__(self) -> int:
        return len(self.data_set)

    def __getitem__(self, index: int) -> Any:
        return self.data_set[index]

    def __getitems__(self, indices: Sequence[int]) -> Sequence[Any]:
        return get_examples(self.data_set, indices)

    def collate_fn(self, examples: Sequence[Any]) -> Mapping[str, Any]:
        """Make a batch of examples."""
        if self._collate_fn is None:
            return collate(examples, self._names)
        return name_elements(self._collate_fn(list(examples)), self._names)
