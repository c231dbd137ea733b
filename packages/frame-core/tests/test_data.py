from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import ConcatDataset, Subset, TensorDataset

from frame_core import (
    BatchedDataset,
    find_collate_fn,
    get_batch,
    get_examples,
    get_split,
    get_tensor,
    is_in_memory,
    iterate_batches,
    read_batches,
)


class Slices:
    """Returns whole batches, and counts them."""

    def __init__(self, n_data: int) -> None:
        self.x = torch.arange(n_data)
        self.n_batches = 0

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int, /) -> dict[str, Tensor]:
        raise AssertionError("a single example was requested")

    def get_batch(self, indices: Tensor) -> dict[str, Tensor]:
        self.n_batches += 1
        return {"x": self.x[indices]}


def test_tuples_become_x_and_y() -> None:
    x, y = torch.rand(5, 2), torch.arange(5)
    batch = get_batch(TensorDataset(x, y), torch.tensor([3, 0, 3]))
    assert list(batch) == ["x", "y"]
    torch.testing.assert_close(batch["x"], x[[3, 0, 3]])
    torch.testing.assert_close(batch["y"], y[[3, 0, 3]])


def test_a_tuple_of_one_becomes_x() -> None:
    batch = get_batch(TensorDataset(torch.arange(3)), torch.tensor([2]))
    assert {name: value.tolist() for name, value in batch.items()} == {"x": [2]}


def test_labels_that_are_plain_numbers_become_a_tensor() -> None:
    torch.testing.assert_close(get_batch([[torch.zeros(2), 7]], torch.tensor([0]))["y"], torch.tensor([7]))


def test_dictionaries_keep_their_names() -> None:
    data = [{"x": torch.full((2,), index), "y": index, "mask": torch.tensor(True)} for index in range(3)]
    batch = get_batch(data, torch.tensor([2, 1]))
    assert list(batch) == ["x", "y", "mask"]
    assert batch["x"].tolist() == [[2, 2], [1, 1]]
    assert batch["y"].tolist() == [2, 1]


def test_a_batched_data_set_is_called_once_per_batch_and_never_per_example() -> None:
    data = Slices(10)
    assert isinstance(data, BatchedDataset)
    assert get_batch(data, torch.tensor([4, 2]))["x"].tolist() == [4, 2]
    assert data.n_batches == 1


class SeveralAtOnce:
    """Returns several examples per call, as torch's `Subset` requests them, but no single one."""

    def __len__(self) -> int:
        return 9

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        raise AssertionError

    def __getitems__(self, indices: list[int]) -> list[tuple[Tensor, int]]:
        return [(torch.full((2,), index), index) for index in indices]


def test_a_data_set_with_getitems_is_called_once_per_batch() -> None:
    for data_set, expected in ((SeveralAtOnce(), [7, 2]), (Subset(SeveralAtOnce(), [5, 6, 8]), [8, 5])):
        batch = get_batch(data_set, torch.tensor([7, 2] if len(data_set) == 9 else [2, 0]))
        assert batch["y"].tolist() == expected
        assert batch["x"].tolist() == [[y, y] for y in expected]


@pytest.mark.parametrize(
    ("example", "description"),
    [
        (torch.zeros(2), "Tensor"),
        ("ab", "str"),
        (3, "int"),
        ((), "a tuple of length 0"),
        ((1, 2, 3), "a tuple of length 3. Name its elements with `names`"),
    ],
)
def test_an_example_of_another_type_is_refused(example: Any, description: str) -> None:
    with pytest.raises(TypeError, match=rf"dictionary or a tuple, \(x,\) or \(x, y\), got {description}"):
        get_batch([example], torch.tensor([0]))


@given(n_data=st.integers(0, 40), batch_size=st.integers(1, 50))
def test_every_example_is_read_once_in_order_in_batches_of_the_requested_size(n_data: int, batch_size: int) -> None:
    batches = [batch["x"].tolist() for batch in iterate_batches(Slices(n_data), batch_size)]
    assert [index for batch in batches for index in batch] == list(range(n_data))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert all(batches)


def test_a_data_set_without_get_batch_is_read_in_batches_too() -> None:
    batches = iterate_batches(TensorDataset(torch.arange(5)), 2)
    assert [batch["x"].tolist() for batch in batches] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_size_that_is_not_positive_is_refused(batch_size: int) -> None:
    with pytest.raises(ValueError, match=f"`batch_size` must be positive, got {batch_size}"):
        next(iterate_batches(Slices(3), batch_size))


class Image:
    __module__ = "PIL.Image"


def test_a_value_that_cannot_become_a_tensor_is_named_with_the_transform_to_set() -> None:
    expected = r"`x` of an example must be a tensor, .*, got PIL\.Image\.Image\..*torchvision\.transforms\.ToTensor"
    with pytest.raises(TypeError, match=expected):
        get_batch([(Image(), 3)], torch.tensor([0]))
    with pytest.raises(TypeError, match=r"`y` of an example must be .*, got NoneType\.$"):
        get_batch([(torch.zeros(1), None)], torch.tensor([0]))


def test_a_missing_name_is_reported_with_the_names_of_the_batch() -> None:
    batch = {"x": torch.zeros(2), "y": torch.zeros(2)}
    assert get_tensor(batch, "y") is batch["y"]
    with pytest.raises(ValueError, match="The batch has no `v1`; it has `x`, `y`"):
        get_tensor(batch, "v1")


def test_a_value_that_is_no_tensor_is_reported_where_a_tensor_is_needed() -> None:
    batch: Any = {"x": ["a", "b"]}
    with pytest.raises(TypeError, match="`x` of the batch must be a tensor, got a list"):
        get_tensor(batch, "x")


def test_a_split_that_is_null_is_refused() -> None:
    with pytest.raises(ValueError, match="Split 'valid' of `data` must be a data set, got None"):
        get_split({"valid": None}, "valid")
    with pytest.raises(TypeError, match="Split 'valid' of `data` must have a length, `__len__`, and `object` has none"):
        get_split({"valid": object()}, "valid")


def test_a_split_is_returned_by_its_name() -> None:
    train = Slices(3)
    assert get_split({"train": train, "valid": Slices(1)}, "train") is train


def test_an_unknown_split_is_refused_and_the_splits_are_listed() -> None:
    with pytest.raises(ValueError, match="no split 'test'; it has 'train', 'valid'"):
        get_split({"train": Slices(3), "valid": Slices(1)}, "test")


class Negated(Slices):
    """Reads several batches itself, with another sign."""

    def read_batches(self, batches: Any) -> Any:
        return ({"x": -get_batch(self, indices)["x"]} for indices in batches)


def test_a_data_set_that_prefetches_reads_several_batches_itself() -> None:
    wanted = (torch.tensor([2, 0]), torch.tensor([1]))
    assert [batch["x"].tolist() for batch in read_batches(Negated(3), wanted)] == [[-2, 0], [-1]]
    assert [batch["x"].tolist() for batch in iterate_batches(Negated(3), 2)] == [[0, -1], [-2]]
    assert [batch["x"].tolist() for batch in read_batches(Slices(3), wanted)] == [[2, 0], [1]]


class Padded:
    """Vectors of lengths 1, 2, 3, ..., padded with -1 to the longest of a batch."""

    def __init__(self, n_data: int) -> None:
        self.n_data = n_data

    def __len__(self) -> int:
        return self.n_data

    def __getitem__(self, index: int) -> Tensor:
        return torch.full((index + 1,), index)

    def collate_fn(self, examples: Any) -> Any:
        return {"x": torch.nn.utils.rnn.pad_sequence(examples, batch_first=True, padding_value=-1)}


class Wrapper:
    """A wrapper of one's own, which returns the examples of another data set unchanged."""

    def __init__(self, data_set: Any) -> None:
        self.data_set = data_set

    def __len__(self) -> int:
        return len(self.data_set)

    def __getitem__(self, index: int) -> Any:
        return self.data_set[index]


class BatchedWrapper(Wrapper):
    def get_batch(self, indices: Tensor) -> dict[str, Any]:
        return get_batch(self.data_set, indices)


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "Subset": lambda data_set: Subset(data_set, range(len(data_set))),
    "ConcatDataset": lambda data_set: ConcatDataset([data_set]),
    "Subset of ConcatDataset": lambda data_set: Subset(ConcatDataset([data_set]), list(range(len(data_set)))),
    "a wrapper of one's own": Wrapper,
    "a wrapper with get_batch": BatchedWrapper,
}
every_wrapper = pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)


@every_wrapper
def test_a_wrapper_keeps_the_collate_fn_of_what_it_wraps(wrap: Callable[[Any], Any]) -> None:
    data_set = wrap(Padded(3))
    assert get_batch(data_set, torch.tensor([2, 0]))["x"].tolist() == [[2, 2, 2], [0, -1, -1]]
    assert find_collate_fn(data_set) is not None
    assert not is_in_memory(data_set)


def test_what_a_collate_fn_returns_as_a_tuple_becomes_x_and_y() -> None:
    class Tuples(Padded):
        def collate_fn(self, examples: Any) -> Any:
            return (torch.stack([example.sum() for example in examples]), len(examples))

    batch = get_batch(Tuples(3), torch.tensor([1, 2]))
    assert (batch["x"].tolist(), batch["y"]) == ([2, 6], 2)


@pytest.mark.parametrize("name", ["Subset", "ConcatDataset", "Subset of ConcatDataset", "a wrapper with get_batch"])
def test_a_wrapper_of_a_batched_data_set_reads_whole_batches(name: str) -> None:
    inner = Slices(5)
    data_set = WRAPPERS[name](inner)
    assert is_in_memory(data_set)
    assert get_batch(data_set, torch.tensor([4, 0, 4]))["x"].tolist() == [4, 0, 4]
    assert inner.n_batches == 1


def test_a_wrapper_without_get_batch_is_not_in_memory() -> None:
    assert not is_in_memory(Wrapper(Slices(5)))  # its own `__getitem__` may take long


def test_a_wrapper_that_passes_on_unknown_names_returns_its_own_examples() -> None:
    class Increased(Wrapper):
        def __getitem__(self, index: int) -> Any:
            return {"x": self.data_set.get_batch(torch.tensor([index]))["x"][0] + 100}

        def __getattr__(self, name: str) -> Any:
            return getattr(self.data_set, name)

    data_set = Increased(Slices(5))
    assert get_batch(data_set, torch.tensor([4, 0]))["x"].tolist() == [104, 100]
    assert not is_in_memory(data_set)


@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), data=st.data())
def test_several_batched_data_sets_in_a_row_are_read_as_one(lengths: list[int], data: st.DataObject) -> None:
    parts = [Slices(length) for length in lengths]
    for number, part in enumerate(parts):
        part.x = part.x + 100 * number
    joined = torch.cat([part.x for part in parts])
    indices = torch.tensor(data.draw(st.lists(st.integers(0, len(joined) - 1), min_size=1, max_size=9)))
    assert get_batch(ConcatDataset(parts), indices)["x"].tolist() == joined[indices].tolist()


def test_parts_with_other_names_are_refused() -> None:
    class Others(Slices):
        def get_batch(self, indices: Tensor) -> dict[str, Tensor]:
            return {"v": self.x[indices]}

    with pytest.raises(ValueError, match="parts of a `ConcatDataset` must have the same names, got 'x' and 'v'"):
        get_batch(ConcatDataset([Slices(2), Others(2)]), torch.tensor([0]))


@pytest.mark.parametrize("inner", [Slices(4), [(torch.tensor(index),) for index in range(4)], SeveralAtOnce()])
def test_examples_that_a_subclass_of_subset_changes_are_read_from_it(inner: Any) -> None:
    class Changed(Subset[Any]):
        def __getitem__(self, index: Any) -> Any:
            return {"x": torch.tensor(10 * index)}

        def __getitems__(self, indices: list[int]) -> list[Any]:
            return [self[index] for index in indices]

    data_set = Changed(inner, [3, 2, 1])
    assert get_batch(data_set, torch.tensor([2, 0]))["x"].tolist() == [20, 0]
    assert [example["x"].item() for example in get_examples(data_set, [1])] == [10]
    assert not is_in_memory(data_set)
