from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import Subset, TensorDataset

from frame_core import BatchedDataset, get_batch, get_split, get_tensor, iterate_batches, read_batches


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
        ((1, 2, 3), "a tuple of length 3"),
    ],
)
def test_an_example_of_another_type_is_refused(example: Any, description: str) -> None:
    with pytest.raises(TypeError, match=rf"dictionary or a tuple, \(x,\) or \(x, y\), got {description}\."):
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
    with pytest.raises(TypeError, match=r"`y` of an example must be .*, got builtins\.NoneType\.$"):
        get_batch([(torch.zeros(1), None)], torch.tensor([0]))


def test_a_missing_name_is_reported_with_the_names_of_the_batch() -> None:
    batch = {"x": torch.zeros(2), "y": torch.zeros(2)}
    assert get_tensor(batch, "y") is batch["y"]
    with pytest.raises(ValueError, match="The batch has no `v1`; it has `x`, `y`"):
        get_tensor(batch, "v1")


def test_a_split_that_is_null_is_refused() -> None:
    with pytest.raises(ValueError, match="Split 'valid' of `data` must be a data set, got None"):
        get_split({"valid": None}, "valid")


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
