import os
from collections.abc import Callable, Mapping
from itertools import chain, islice
from pathlib import Path
from traceback import clear_frames
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import ConcatDataset, DataLoader, Subset, TensorDataset

from frame_core import SizedDataset, read_batches, seed_generators
from frame_train.data import Binarized, Collated, Fold, InMemoryDataset, TwoViews
from frame_train.data.augmentation import RandomShift, augment
from frame_train.data.loaders import DataWithWorkers, make_train_loader
from frame_train.data.sampling import ShuffledBatches, StepGroups
from frame_train.errors import TrainingError
from trainers import DIGITS


class CountingDataset(InMemoryDataset):
    """Counts the calls for a batch and for a single example."""

    n_batches = 0
    n_single = 0

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        self.n_single += 1
        return super().__getitem__(index)

    def get_batch(self, indices: Tensor) -> dict[str, Tensor]:
        self.n_batches += 1
        return super().get_batch(indices)


def make_arrays(n_examples: int = 10) -> dict[str, Tensor]:
    return {"x": torch.arange(n_examples).float(), "y": torch.arange(n_examples)}


def make_loader(
    data_set: SizedDataset, batch_size: int, seed: int = 0, n_steps: int = 1, **options: Any
) -> DataLoader[Any]:
    groups = StepGroups(ShuffledBatches(len(data_set), batch_size, seed), n_steps)
    return make_train_loader(data_set, groups, **options)


def read_epoch(loader: object, epoch: int) -> list[list[int]]:
    loader.sampler.set_epoch(epoch)
    return [batch["y"].tolist() for batch in loader]


def test_the_order_depends_only_on_the_seed_and_the_epoch() -> None:
    loader = make_loader(InMemoryDataset(make_arrays()), 3)
    first = read_epoch(loader, 4)
    torch.rand(7)  # changes the state of the generator
    assert read_epoch(make_loader(InMemoryDataset(make_arrays()), 3), 4) == first
    assert read_epoch(loader, 5) != first
    assert read_epoch(make_loader(InMemoryDataset(make_arrays()), 3, seed=1), 4) != first


class NoisyDataset(InMemoryDataset):
    """Adds noise to its batches, as an augmentation does."""

    def get_batch(self, indices: Tensor) -> dict[str, Tensor]:
        batch = super().get_batch(indices)
        return {**batch, "x": batch["x"] + torch.rand(len(indices))}

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {name: value[0] for name, value in self.get_batch(torch.tensor([index])).items()}


class OneByOne:
    """A data set that returns single examples only."""

    def __init__(self, data_set: InMemoryDataset) -> None:
        self.data_set = data_set

    def __len__(self) -> int:
        return len(self.data_set)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.data_set[index]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_noise_of_a_batch_depends_only_on_its_position(num_workers: int) -> None:
    loader = make_loader(OneByOne(NoisyDataset(make_arrays())), 3)
    expected = [batch["x"].tolist() for batch in loader]
    resumed = make_loader(OneByOne(NoisyDataset(make_arrays())), 3, num_workers=num_workers)
    resumed.sampler.start_at(0, 2)
    assert [batch["x"].tolist() for batch in resumed] == expected[2:]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loader_of_step_groups_returns_the_same_batches_together(num_workers: int) -> None:
    data_set = OneByOne(NoisyDataset(make_arrays()))
    alone = [batch["x"].tolist() for batch in make_loader(data_set, 3)]
    groups = list(make_loader(data_set, 3, n_steps=2, num_workers=num_workers))
    assert [len(group) for group in groups] == [2, 1]  # the last batch has more than one example
    assert [batch["x"].tolist() for group in groups for batch in group] == alone


@pytest.mark.parametrize("wrap", [TwoViews, Binarized])
@pytest.mark.parametrize("n_processes", [2, 4])
def test_any_number_of_processes_sees_the_same_random_examples(wrap: Callable[[Any], Any], n_processes: int) -> None:
    data_set, shift = wrap(DIGITS["train"]), RandomShift(2)

    def read(process: int, n_processes: int) -> list[dict[str, Tensor]]:
        batches = ShuffledBatches(len(data_set), 32 // n_processes, seed=3)
        batches.share(n_processes, process)
        read = list(islice(make_train_loader(data_set, StepGroups(batches)), 5))
        for index, batch in enumerate(read):
            seed_generators(index)
            images = {"x": batch["x"]}
            augment(images, shift, batches.own)
            batch["shifted"] = images["x"]
        return read

    shares = [read(process, n_processes) for process in range(n_processes)]
    for one, *parts in zip(read(0, 1), *shares, strict=True):
        for name, value in one.items():
            assert torch.equal(value, torch.stack([part[name] for part in parts], dim=1).flatten(0, 1))


def test_each_process_reads_only_its_share_of_data_that_are_not_in_memory() -> None:
    batches = ShuffledBatches(40, 4, seed=3)
    batches.share(2, 1)
    data_set = CountingDataset(make_arrays(40))
    next(iter(make_train_loader(OneByOne(data_set), StepGroups(batches))))
    assert data_set.n_single == 4


def test_an_in_memory_data_set_is_read_in_batches_by_this_process() -> None:
    data_set = CountingDataset(make_arrays())
    loader = make_loader(data_set, 4, num_workers=2)
    assert sorted(y for batch in read_epoch(loader, 0) for y in batch) == list(range(10))
    assert (data_set.n_batches, data_set.n_single) == (3, 0)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_any_other_data_set_yields_the_same_batches_with_and_without_workers(num_workers: int) -> None:
    data = make_arrays()
    loader = make_loader(TensorDataset(data["x"], data["y"]), 3, num_workers=num_workers)
    expected = make_loader(InMemoryDataset(data), 3)
    assert read_epoch(loader, 1) == read_epoch(expected, 1)
    batch: Mapping[str, Tensor] = next(iter(loader))
    assert set(batch) == {"x", "y"}


def test_a_worker_has_its_own_process_group() -> None:
    class Groups:
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> dict[str, Tensor]:
            return {"group": torch.tensor(os.getpgrp())}

    groups = {group for batch in make_loader(Groups(), 2, num_workers=2) for group in batch["group"].tolist()}
    assert len(groups) == 2
    assert os.getpgrp() not in groups


class Padded:
    """Vectors of different lengths, padded with -1 to the longest of a batch, and the process that pads them."""

    def __init__(self, n_data: int) -> None:
        self.n_data = n_data

    def __len__(self) -> int:
        return self.n_data

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"x": torch.full((index % 7,), index), "y": index, "path": Path(str(index))}

    def collate_fn(self, examples: Any) -> Any:
        x = pad_sequence([example["x"] for example in examples], batch_first=True, padding_value=-1)
        others = {name: [example[name] for example in examples] for name in ("y", "path")}
        return {"x": x, "y": torch.tensor(others["y"]), "path": others["path"], "process": [os.getpid()]}


class Lengths(Padded):
    def collate_fn(self, examples: Any) -> Any:
        return {"length": np.array([len(example["x"]) for example in examples])}


@pytest.mark.parametrize("num_workers", [0, 1])
def test_arrays_of_a_collate_fn_become_tensors(num_workers: int) -> None:
    (batch,) = make_loader(Lengths(4), 4, num_workers=num_workers)
    assert sorted(batch["length"].tolist()) == [0, 1, 2, 3]
    assert isinstance(batch["length"], Tensor)


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda data_set: data_set,
    "Subset": lambda data_set: Subset(data_set, range(len(data_set))),
    "ConcatDataset": lambda data_set: ConcatDataset([data_set]),
    "Fold": lambda data_set: Fold(data_set, 0, of=2),
    "TwoViews": lambda data_set: TwoViews(data_set, transform=torch.neg),
    "Collated": Collated,
}
every_wrapper = pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)


@every_wrapper
def test_padded_data_are_the_same_with_and_without_workers(wrap: Callable[[Any], Any]) -> None:
    here, there = ([list(make_loader(wrap(Padded(10)), 4, num_workers=n)), *read_all(wrap, n)] for n in (0, 2))
    assert len(here[0]) == len(there[0])
    for one, other in zip(chain.from_iterable(here), chain.from_iterable(there), strict=True):
        assert one.pop("process") == [os.getpid()] != other.pop("process")
        assert one["path"] == other["path"]
        assert all(torch.equal(one[name], other[name]) for name in one.keys() - {"path"})


def read_all(wrap: Callable[[Any], Any], num_workers: int) -> Any:
    """Read all batches of an evaluation, more than one chunk each."""
    data_set = wrap(Padded(300))
    yield list(read(data_set, torch.arange(len(data_set)).split(100), num_workers))


@pytest.mark.parametrize("name", sorted(WRAPPERS.keys() - {"Collated"}))  # which takes single examples
def test_a_wrapper_of_in_memory_data_needs_no_workers(name: str) -> None:
    wrap = WRAPPERS[name]
    data_set = CountingDataset(make_arrays())
    assert make_loader(wrap(data_set), 4, num_workers=2).num_workers == 0
    assert make_loader(wrap(OneByOne(data_set)), 4, num_workers=2).num_workers == 2
    list(read(wrap(data_set), [torch.tensor([3, 1])], num_workers=2))
    assert (data_set.n_batches, data_set.n_single) == (1, 0)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_unpadded_data_are_reported_as_a_problem_of_the_data(num_workers: int) -> None:
    data_set = [{"x": torch.zeros(1 + index % 2)} for index in range(4)]
    with pytest.raises(TrainingError) as error:
        list(make_loader(data_set, 4, num_workers=num_workers))
    assert str(error.value).startswith("A batch of the data can't be read: `x` must have one shape in all examples")
    assert "\n" not in str(error.value)
    clear_frames(error.tb)  # ends the workers; the garbage collector would wait for them


class Readers(TensorDataset):
    """Returns the process that reads an example, and noise."""

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"x": self.tensors[0][index], "process": torch.tensor(os.getpid()), "noise": torch.rand(())}


def read(data_set: Any, batches: Any, num_workers: int) -> Any:
    """Read batches as an evaluation does."""
    optimization: Any = SimpleNamespace(data={"valid": data_set})
    return read_batches(DataWithWorkers(optimization, num_workers)["valid"], batches)


@pytest.mark.parametrize("n_examples", [65, 150])
def test_workers_read_the_batches_of_an_evaluation_in_order(n_examples: int) -> None:
    data_set = Readers(torch.arange(n_examples))
    wanted = torch.randperm(n_examples).split(100)
    torch.manual_seed(0)
    drawn, drawn_next = torch.rand(2), torch.rand(2)
    torch.manual_seed(0)
    batches = list(read(data_set, wanted, num_workers=2))
    assert [batch["x"].tolist() for batch in batches] == [indices.tolist() for indices in wanted]
    assert os.getpid() not in {process for batch in batches for process in batch["process"].tolist()}
    assert torch.equal(torch.rand(2), drawn)  # this process drew nothing
    for num_workers in (0, 1):
        again = read(data_set, wanted, num_workers)
        assert all(torch.equal(batch["noise"], other["noise"]) for batch, other in zip(again, batches, strict=True))
    assert torch.equal(torch.rand(2), drawn_next)


def test_in_memory_data_and_few_batches_are_read_by_this_process() -> None:
    data_set = CountingDataset(make_arrays())
    (batch,) = read(data_set, [torch.tensor([3, 1])], num_workers=2)
    assert batch["y"].tolist() == [3, 1]
    assert (data_set.n_batches, data_set.n_single) == (1, 0)
    some, all_of_it = [torch.tensor([2])], torch.arange(100).split(10)
    for wanted, num_workers in ((all_of_it, 0), (some, 2)):  # for few batches, starting workers would take longer
        batch = next(iter(read(Readers(torch.arange(100)), wanted, num_workers)))
        assert batch["process"].unique().tolist() == [os.getpid()]


def test_strings_are_equal_with_and_without_workers() -> None:
    data_set = [{"x": torch.tensor(index), "name": str(index)} for index in range(100)]
    wanted = torch.arange(100).split(90)
    here, there = (list(read(data_set, wanted, num_workers)) for num_workers in (0, 2))
    assert [batch["name"] for batch in there] == [batch["name"] for batch in here]
    assert there[0]["name"][:2] == ["0", "1"]
