import os
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import TensorDataset

from frame_core import read_batches
from frame_train.data import InMemoryDataset
from frame_train.data.loaders import Batch, DataWithWorkers, ShuffledBatches, Trips, join_trips, make_train_loader


class CountingDataset(InMemoryDataset):
    """Counts how often it is asked for a batch and for a single datum."""

    n_batches = 0
    n_single = 0

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        self.n_single += 1
        return super().__getitem__(index)

    def get_batch(self, indices: Tensor) -> dict[str, Tensor]:
        self.n_batches += 1
        return super().get_batch(indices)


def make_data(n_data: int = 10) -> dict[str, Tensor]:
    return {"x": torch.arange(n_data).float(), "y": torch.arange(n_data)}


def read_epoch(loader: object, epoch: int) -> list[list[int]]:
    loader.sampler.set_epoch(epoch)
    return [batch["y"].tolist() for batch in loader]


@given(st.integers(1, 50), st.integers(1, 60), st.integers(0, 2**63), st.integers(0, 100))
def test_an_epoch_holds_every_datum_once(n_data: int, batch_size: int, seed: int, epoch: int) -> None:
    sampler = ShuffledBatches(n_data, batch_size, seed)
    sampler.set_epoch(epoch)
    batches = [batch.indices for batch in sampler]
    assert sorted(torch.cat(batches).tolist()) == list(range(n_data))
    assert len(batches) == len(sampler)
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert len(batches[-1]) <= batch_size + 1
    assert len(batches[-1]) > 1 or 1 in (n_data, batch_size)


@given(st.integers(5, 60), st.integers(1, 20), st.integers(1, 5), st.integers(0, 9))
def test_processes_share_an_epoch_without_overlap(n_data: int, batch_size: int, n_processes: int, epoch: int) -> None:
    shares: list[list[Batch]] = []
    for process in range(n_processes):
        sampler = ShuffledBatches(n_data, batch_size, seed=3)
        sampler.share(n_processes, process)
        sampler.set_epoch(epoch)
        shares.append(list(sampler))
        assert len(sampler) == len(shares[-1])
    seen = [index for share in shares for batch in share for index in batch.indices.tolist()]
    assert len(set(seen)) == len(seen) == n_data - n_data % n_processes
    keys = [batch.key for share in shares for batch in share]
    assert len(set(keys)) == len(keys)
    one = ShuffledBatches(n_data, batch_size * n_processes, seed=3)
    one.set_epoch(epoch)
    for batch, *parts in zip(one, *shares):
        together = sorted(index for part in parts for index in part.indices.tolist())
        if len(together) == batch_size * n_processes == len(batch.indices):
            assert together == sorted(batch.indices.tolist())


def test_the_order_depends_on_the_seed_and_the_epoch_alone() -> None:
    loader = make_train_loader(InMemoryDataset(make_data()), 3, seed=0)
    first = read_epoch(loader, 4)
    torch.rand(7)  # the state of the generator does not matter
    assert read_epoch(make_train_loader(InMemoryDataset(make_data()), 3, seed=0), 4) == first
    assert read_epoch(loader, 5) != first
    assert read_epoch(make_train_loader(InMemoryDataset(make_data()), 3, seed=1), 4) != first


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 9), st.data())
def test_an_epoch_that_is_begun_at_a_batch_goes_on_as_it_would_have(
    n_data: int, batch_size: int, epoch: int, data: st.DataObject
) -> None:
    whole = ShuffledBatches(n_data, batch_size, seed=3)
    whole.set_epoch(epoch)
    batches = [(batch.indices.tolist(), batch.key) for batch in whole]
    first = data.draw(st.integers(0, len(batches)))
    resumed = ShuffledBatches(n_data, batch_size, seed=3)
    resumed.start_at(epoch, first)
    assert [(batch.indices.tolist(), batch.key) for batch in resumed] == batches[first:]
    resumed.set_epoch(epoch)  # as Lightning does once more
    assert len(list(resumed)) == len(batches) - first
    resumed.set_epoch(epoch + 1)
    assert len(list(resumed)) == len(batches)


class NoisyDataset(InMemoryDataset):
    """Adds noise to what it gives, as an augmentation does."""

    def get_batch(self, indices: Tensor) -> dict[str, Tensor]:
        batch = super().get_batch(indices)
        return {**batch, "x": batch["x"] + torch.rand(len(indices))}

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {name: value[0] for name, value in self.get_batch(torch.tensor([index])).items()}


class OneByOne:
    """A data set that gives no whole batches."""

    def __init__(self, data_set: InMemoryDataset) -> None:
        self.data_set = data_set

    def __len__(self) -> int:
        return len(self.data_set)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.data_set[index]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_what_is_random_in_a_batch_depends_on_its_place_alone(num_workers: int) -> None:
    loader = make_train_loader(OneByOne(NoisyDataset(make_data())), 3, seed=0)
    expected = [batch["x"].tolist() for batch in loader]
    resumed = make_train_loader(OneByOne(NoisyDataset(make_data())), 3, seed=0, num_workers=num_workers)
    resumed.sampler.start_at(0, 2)
    assert [batch["x"].tolist() for batch in resumed] == expected[2:]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loader_of_trips_gives_the_same_batches_together(num_workers: int) -> None:
    loader = make_train_loader(OneByOne(NoisyDataset(make_data())), 3, seed=0, num_workers=num_workers)
    alone = [batch["x"].tolist() for batch in loader]
    joined = list(join_trips(loader, Trips(loader.sampler, 2)))
    assert [len(trip) for trip in joined] == [2, 1]  # no batch of one datum is left
    assert [batch["x"].tolist() for trip in joined for batch in trip] == alone


def test_a_data_set_in_memory_is_read_by_whole_batches_in_this_process() -> None:
    data_set = CountingDataset(make_data())
    loader = make_train_loader(data_set, 4, seed=0, num_workers=2)
    assert sorted(y for batch in read_epoch(loader, 0) for y in batch) == list(range(10))
    assert (data_set.n_batches, data_set.n_single) == (3, 0)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_any_other_data_set_gives_the_same_batches_with_and_without_workers(num_workers: int) -> None:
    data = make_data()
    loader = make_train_loader(TensorDataset(data["x"], data["y"]), 3, seed=0, num_workers=num_workers)
    expected = make_train_loader(InMemoryDataset(data), 3, seed=0)
    assert read_epoch(loader, 1) == read_epoch(expected, 1)
    batch: Mapping[str, Tensor] = next(iter(loader))
    assert set(batch) == {"x", "y"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be positive, got 0"),
        ({"batch_size": -5}, "`batch_size` must be positive, got -5"),
        ({"batch_size": 2, "num_workers": -1}, "`num_workers` must not be negative, got -1"),
    ],
)
def test_a_number_out_of_range_is_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_train_loader(InMemoryDataset(make_data()), seed=0, **arguments)


def test_a_worker_is_in_no_group_that_ctrl_c_goes_to() -> None:
    class Groups:
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> dict[str, Tensor]:
            return {"group": torch.tensor(os.getpgrp())}

    groups = {group for batch in make_train_loader(Groups(), 2, 0, num_workers=2) for group in batch["group"].tolist()}
    assert len(groups) == 2
    assert os.getpgrp() not in groups


class Readers(TensorDataset):
    """Tells which process reads a datum."""

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"x": self.tensors[0][index], "process": torch.tensor(os.getpid()), "noise": torch.rand(())}


def read(data_set: Any, batches: Any, num_workers: int) -> Any:
    """Read batches as an evaluation does."""
    optimization: Any = SimpleNamespace(data={"valid": data_set})
    return read_batches(DataWithWorkers(optimization, num_workers)["valid"], batches)


@pytest.mark.parametrize("n_data", [65, 150])
def test_what_an_evaluation_goes_through_is_read_by_workers_in_its_order(n_data: int) -> None:
    data_set = Readers(torch.arange(n_data))
    wanted = torch.randperm(n_data).split(100)
    torch.manual_seed(0)
    drawn = torch.rand(2)
    torch.manual_seed(0)
    batches = list(read(data_set, wanted, num_workers=2))
    assert [batch["x"].tolist() for batch in batches] == [indices.tolist() for indices in wanted]
    assert os.getpid() not in {process for batch in batches for process in batch["process"].tolist()}
    assert torch.equal(torch.rand(2), drawn)  # nothing was drawn here
    again = read(data_set, wanted, num_workers=1)
    assert all(torch.equal(batch["noise"], other["noise"]) for batch, other in zip(again, batches, strict=True))


def test_what_is_in_memory_or_has_no_workers_is_read_here() -> None:
    data_set = CountingDataset(make_data())
    (batch,) = read(data_set, [torch.tensor([3, 1])], num_workers=2)
    assert batch["y"].tolist() == [3, 1]
    assert (data_set.n_batches, data_set.n_single) == (1, 0)
    some, all_of_it = [torch.tensor([2])], torch.arange(100).split(10)
    for wanted, num_workers in ((all_of_it, 0), (some, 2)):  # for a few it would take longer to start them
        batch = next(iter(read(Readers(torch.arange(100)), wanted, num_workers)))
        assert batch["process"].unique().tolist() == [os.getpid()]


def test_texts_come_from_workers_as_they_come_from_here() -> None:
    data_set = [{"x": torch.tensor(index), "name": str(index)} for index in range(100)]
    wanted = torch.arange(100).split(90)
    here, there = (list(read(data_set, wanted, num_workers)) for num_workers in (0, 2))
    assert [batch["name"] for batch in there] == [batch["name"] for batch in here]
    assert there[0]["name"][:2] == ["0", "1"]
