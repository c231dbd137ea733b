from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from frame_core import get_batch
from frame_train.data import Collated

TRIPLES = [(torch.full((2,), float(index)), index, f"name {index}") for index in range(4)]


def test_elements_of_a_tuple_are_named() -> None:
    batch = get_batch(Collated(TRIPLES, names=["x", "y", "text"]), torch.tensor([3, 1]))
    assert batch["x"].tolist() == [[3, 3], [1, 1]]
    assert (batch["y"].tolist(), batch["text"]) == ([3, 1], ["name 3", "name 1"])
    with pytest.raises(TypeError, match=r"a tuple, \(x, y\), got a tuple of length 3\.$"):
        get_batch(Collated(TRIPLES, names=["x", "y"]), torch.tensor([0]))


def pad(examples: list[Any]) -> Any:
    x = [torch.arange(example) for example in examples]
    return pad_sequence(x, batch_first=True), torch.tensor(examples)


def test_a_function_makes_a_batch_of_examples() -> None:
    data_set = Collated([3, 1, 2], collate_fn=pad)
    batch = get_batch(data_set, torch.tensor([1, 2]))
    assert (batch["x"].tolist(), batch["y"].tolist()) == ([[0, 0], [0, 1]], [1, 2])
    assert list(get_batch(Collated([3, 1, 2], pad, names=["tokens", "length"]), torch.tensor([0]))) == [
        "tokens",
        "length",
    ]
    assert (len(data_set), data_set[0]) == (3, 3)


def test_a_data_set_that_reads_several_examples_at_once_is_called_once() -> None:
    class SeveralAtOnce:
        n_calls = 0

        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> int:
            raise AssertionError

        def __getitems__(self, indices: list[int]) -> list[int]:
            self.n_calls += 1
            return indices

    data_set = SeveralAtOnce()
    assert get_batch(Collated(data_set, pad), torch.tensor([0, 2]))["y"].tolist() == [0, 2]
    assert data_set.n_calls == 1


@pytest.mark.parametrize("names", [[], "xy", ["x", "x"]])
def test_names_that_name_nothing_are_refused(names: Any) -> None:
    with pytest.raises(ValueError, match="`names` must be a list of different names"):
        Collated([], names=names)


def test_a_collation_that_is_no_function_is_refused() -> None:
    collate_fn: Any = "pad"
    with pytest.raises(TypeError, match=r"`collate_fn` must be a function of a list of examples, .* got 'pad'"):
        Collated([], collate_fn)
