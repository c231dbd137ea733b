import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from frame_core.testing import TinyModel, TinyOptimization
from frame_eval import batches
from frame_eval.batches import get_batch_size, iterate_split, split_draws


def make_optimization(n_data: int) -> TinyOptimization:
    return TinyOptimization(data={"valid": [(torch.tensor([float(index)]), index % 10) for index in range(n_data)]})


def list_batches(n_data: int, batch_size: int, n_drawn: int | None = None) -> list[Tensor]:
    return [batch["y"] for batch in iterate_split(make_optimization(n_data), "valid", batch_size, n_drawn)]


def test_batches_have_the_precision_of_the_model() -> None:
    (batch,) = iterate_split(TinyOptimization(TinyModel().double()), "valid", 10)
    assert (batch["x"].dtype, batch["y"].dtype) == (torch.float64, torch.int64)


@pytest.mark.parametrize("n_drawn", [None, 7, 100])
def test_all_examples_are_read_in_order(n_drawn: int | None) -> None:
    assert [labels.tolist() for labels in list_batches(7, 3, n_drawn)] == [[0, 1, 2], [3, 4, 5], [6]]


def test_drawn_examples_do_not_depend_on_the_random_state() -> None:
    first = list_batches(1000, 64, 200)
    torch.randn(3)
    assert [len(labels) for labels in first] == [64, 64, 64, 8]
    assert torch.equal(torch.cat(list_batches(1000, 7, 200)), torch.cat(first))


def test_drawn_examples_have_all_labels_of_a_split_with_periodic_labels() -> None:
    counts = torch.cat(list_batches(1000, 64, 100)).bincount(minlength=10)  # every tenth example has the same label
    assert counts.min() >= 3


def test_no_example_is_drawn_twice() -> None:
    x = torch.cat([batch["x"] for batch in iterate_split(make_optimization(50), "valid", 8, 40)]).flatten()
    assert len(x.unique()) == 40


def test_texts_and_lists_reach_a_model_as_they_are() -> None:
    data = [{"x": torch.ones(2), "text": "a" * index, "box": [1.0] * index} for index in range(3)]
    (batch,) = iterate_split(TinyOptimization(TinyModel().double(), {"valid": data}), "valid", 10)
    assert batch["x"].dtype == torch.float64
    assert (batch["text"], batch["box"]) == (["", "a", "aa"], [[], [1.0], [1.0, 1.0]])


def test_examples_without_x_are_refused() -> None:
    optimization = TinyOptimization(data={"valid": [{"v1": torch.zeros(2), "v2": torch.zeros(2)}]})
    with pytest.raises(ValueError, match="Split 'valid' of `data` has no `x`; it has 'v1', 'v2'"):
        next(iterate_split(optimization, "valid", 3))


def test_a_batch_does_not_exceed_its_maximum_size_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "N_BYTES", 12 * 3 + 11)  # an example is a float32 and an int64
    assert [len(labels) for labels in list_batches(8, 100)] == [3, 3, 2]
    monkeypatch.setattr(batches, "N_BYTES", 1)
    assert [len(labels) for labels in list_batches(3, 100)] == [1, 1, 1]


@given(n_latent_samples=st.integers(1, 50_000))
def test_draws_at_a_time_are_bounded_and_complete(n_latent_samples: int) -> None:
    batch_size = get_batch_size(n_latent_samples)
    draws = split_draws(n_latent_samples, torch.zeros(batch_size, 1))
    assert 1 <= batch_size <= batches.BATCH_SIZE
    assert sum(draws) == n_latent_samples
    assert all(0 < n * batch_size <= batches.N_DRAWS for n in draws)


def test_fewer_draws_of_large_examples_are_in_memory_at_a_time() -> None:
    assert split_draws(5, torch.zeros(1, batches.N_BYTES // 8)) == [2, 2, 1]
    assert split_draws(2, torch.zeros(1, batches.N_BYTES)) == [1, 1]


@pytest.mark.gpu
def test_batches_are_on_the_device_of_the_model() -> None:
    optimization = TinyOptimization(model=TinyModel().to("cuda"))
    assert {batch["x"].device.type for batch in iterate_split(optimization, "valid", 3)} == {"cuda"}
