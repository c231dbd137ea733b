"""Placement of data sets, tested on the device `meta`, which stores shapes only, and on a GPU."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, Subset, TensorDataset

from frame_core import MovableDataset, get_batch
from frame_core.testing import make_tiny_data
from frame_train.data import Fold, InMemoryDataset, TwoViews, loaders
from frame_train.data.loaders import make_train_loader
from frame_train.data.placement import count_bytes, move, place, read_free_memory
from frame_train.data.sampling import ShuffledBatches, StepGroups

META = torch.device("meta")

WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda data_set: data_set,
    "TwoViews": TwoViews,
    "Subset": lambda data_set: Subset(data_set, range(10)),
    "ConcatDataset": lambda data_set: ConcatDataset([Subset(data_set, range(4)), Subset(data_set, range(4, 10))]),
    "Fold of TwoViews": lambda data_set: Fold(TwoViews(ConcatDataset([data_set, data_set])), 0, of=2),
}


def make_images(n_data: int = 10) -> InMemoryDataset:
    x = torch.arange(n_data, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    return InMemoryDataset({"x": x.contiguous(), "y": torch.arange(n_data)})


def make_groups(n_steps: int = 1) -> StepGroups:
    return StepGroups(ShuffledBatches(10, 4, seed=0), n_steps)


def test_a_data_set_takes_at_most_half_of_the_free_memory() -> None:
    data_set = make_images()
    n_bytes = 10 * (16 + 8)
    assert data_set.n_bytes == n_bytes
    assert place(data_set, META, n_free=2 * n_bytes - 1) is data_set
    assert place(data_set, META, n_free=2 * n_bytes) is not data_set


def test_a_data_set_that_is_not_in_memory_is_not_moved() -> None:
    one_by_one = TensorDataset(torch.rand(4, 2))
    assert place(one_by_one, META, n_free=10**12) is one_by_one
    views = TwoViews(make_tiny_data(4))
    assert isinstance(views, MovableDataset)
    assert place(views, META, n_free=10**12) is views


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_a_moved_wrapper_returns_the_same_batches(wrap: Callable[[Any], Any]) -> None:
    data_set = wrap(make_images())
    n_copies = 2 if isinstance(data_set, ConcatDataset | Fold) else 1
    assert count_bytes(data_set) == n_copies * make_images().n_bytes
    moved = move(data_set, torch.device("cpu"))
    assert moved is not data_set
    batches: list[dict[str, Tensor]] = []
    for one in (data_set, moved):
        torch.manual_seed(0)
        batches.append(get_batch(one, torch.tensor([7, 2, 2])))
    assert all(torch.equal(batches[1][name], value) for name, value in batches[0].items())


def test_a_wrapper_of_data_that_cannot_be_moved_stays_where_it_is() -> None:
    class Slices(InMemoryDataset):
        n_bytes: Any = None

    for data_set in (Subset(Slices({"x": torch.zeros(3)}), [0]), ConcatDataset([Slices({"x": torch.zeros(3)})])):
        assert count_bytes(data_set) is None
        assert place(data_set, META, n_free=10**12) is data_set


def test_nothing_is_copied_without_a_gpu() -> None:
    assert read_free_memory(torch.device("cpu")) == 0
    assert read_free_memory(torch.device("mps")) == 0
    data_set = make_images()
    assert make_train_loader(data_set, make_groups(), device=torch.device("cpu")).dataset.data_set is data_set


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_batches_of_data_on_a_device_are_created_on_it(
    wrap: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaders, "read_free_memory", lambda device: 10**9)
    data_set = wrap(make_images())
    moved = make_train_loader(data_set, make_groups(), pin_memory=True, device=META)
    batches = list(moved)
    assert [len(batch["x"]) for batch in batches] == [4, 4, 2]
    assert all(value.device == META for batch in batches for value in batch.values())
    assert batches[0]["x"].dtype == torch.float32
    assert not moved.pin_memory
    groups = make_train_loader(data_set, make_groups(n_steps=2), device=META)
    assert [[batch["x"].device for batch in group] for group in groups] == [[META, META], [META]]
    assert get_batch(data_set, torch.arange(2))["x"].device.type == "cpu"  # evaluations read on the CPU


def read(loader: object) -> list[Tensor]:
    loader.sampler.set_epoch(3)
    return [batch["x"].cpu() for batch in loader]


@pytest.mark.gpu
def test_the_batches_are_the_same_on_a_gpu() -> None:
    expected = read(make_train_loader(make_images(), make_groups()))
    moved = read(make_train_loader(make_images(), make_groups(), device=torch.device("cuda", 0)))
    assert all(torch.equal(one, other) for one, other in zip(moved, expected, strict=True))
