from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import default_collate

from frame_core import collate, name_elements


def test_tensors_and_numbers_are_stacked_as_torch_does() -> None:
    examples = [{"x": torch.rand(2, 3), "y": index, "weight": index / 3, "mask": index > 0} for index in range(4)]
    batch, expected = collate(examples), default_collate(examples)
    assert list(batch) == list(expected)
    assert all(torch.equal(batch[name], expected[name]) and batch[name].dtype == expected[name].dtype for name in batch)


def test_arrays_are_stacked_as_torch_does() -> None:
    numpy = pytest.importorskip("numpy")
    examples = [(numpy.full((2,), index, dtype="float32"), numpy.int64(index)) for index in range(3)]
    batch = collate(examples)
    assert (batch["x"].dtype, batch["x"].tolist()) == (torch.float32, [[0, 0], [1, 1], [2, 2]])
    assert batch["y"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "values", [("a", "bc"), (Path("a"), Path("b")), ([1], [2, 3]), ((1, 2), (3, 4)), ({"k": 1}, {}), (b"a", b"b")]
)
def test_what_has_no_arithmetic_becomes_a_list(values: Sequence[Any]) -> None:
    assert collate([{"x": torch.zeros(1), "other": value} for value in values])["other"] == list(values)


def test_arrays_of_texts_become_a_list() -> None:
    numpy = pytest.importorskip("numpy")
    assert collate([(0, numpy.str_("a")), (1, numpy.str_("b"))])["y"] == ["a", "b"]


def test_elements_of_a_tuple_have_the_given_names() -> None:
    batch = collate([(torch.zeros(2), 1, 0.5), (torch.ones(2), 2, 0.25)], names=("x", "y", "weight"))
    assert list(batch) == ["x", "y", "weight"]
    assert batch["weight"].tolist() == [0.5, 0.25]
    with pytest.raises(TypeError, match=r"a tuple, \(x, y, weight\), got a tuple of length 2\.$"):
        name_elements((1, 2), names=("x", "y", "weight"))


def test_a_dictionary_keeps_its_names() -> None:
    assert name_elements({"a": 1}, names=("x",)) == {"a": 1}


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        (torch.zeros(3), torch.zeros(5), r"`x` must have one shape .*, got \(3,\) and \(5,\)\. Pad it .*`collate_fn`"),
        (torch.zeros(1), 1, r"`x` must have one shape .* got \(1,\) and \(\)"),
        (torch.zeros(1), "a", "`x` must have one type in all examples, got torch.Tensor and str"),
        (torch.zeros(1), None, "`x` must have one type in all examples, got torch.Tensor and NoneType"),
    ],
)
def test_values_that_do_not_fit_one_another_are_reported(first: Any, second: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        collate([{"x": first}, {"x": second}])


def test_examples_with_other_names_are_reported() -> None:
    with pytest.raises(ValueError, match="must have the same names, got 'x', 'y' and 'x'"):
        collate([{"x": 1, "y": 2}, {"x": 1}])
