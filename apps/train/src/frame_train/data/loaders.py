"""Loaders: whole batches by index, in an order that depends on the seed and the epoch alone."""

import os
import signal
import sys
import threading
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from frame_core import BatchedDataset, Optimization, SizedDataset, get_batch
from frame_train.data.placement import place, read_free_memory
from frame_train.data.seeding import make_key, seed_generators

_PIECE = 64  # data that a worker reads at a time for an evaluation


class Batch(NamedTuple):
    """What a batch is made of: its data, and the seed of what is random in reading them, such as augmentations."""

    indices: Tensor
    key: int


class ShuffledBatches(Sampler[Batch]):
    """The batches of an epoch, in a permutation that is a function of (seed, epoch).

    Of several processes, each has its own share: none reads what another does, their batches of one step are together
    the batch that one process with as many times the batch size would have, and what can't be shared out evenly, at
    most one datum fewer than there are processes, is left out of an epoch, another in each.

    The last batch may be smaller than the others. A single datum that would be left for it is added to the batch
    before: nothing can be normalized over it, nor told from others, and no datum is left out.

    Args:
        n_data: Number of data.
        batch_size: Number of data in a batch.
        seed: The seed.
    """

    def __init__(self, n_data: int, batch_size: int, seed: int) -> None:
        self.n_data = n_data
        self.batch_size = batch_size
        self.seed = seed
        self.device = torch.device("cpu")  # of the indices; the permutation is the same on all
        self.epoch = 0
        self.first_batch = 0
        self._n_processes = 1
        self._process = 0

    def share(self, n_processes: int, process: int) -> None:
        """Give the share of one of several processes, counted from 0."""
        self._n_processes = n_processes
        self._process = process

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this at the beginning of each."""
        if epoch != self.epoch:
            self.start_at(epoch, 0)

    def start_at(self, epoch: int, batch: int) -> None:
        """Choose the epoch, and the batch that it is begun with."""
        self.epoch = epoch
        self.first_batch = batch

    def __iter__(self) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(make_key(self.seed, "order", self.epoch))
        order = torch.randperm(self.n_data, generator=generator).to(self.device)
        own = order[: self._n_own * self._n_processes][self._process :: self._n_processes]
        batches = list(own.split(self.batch_size))
        if self._leaves_one:
            batches[-2:] = [torch.cat(batches[-2:])]
        keys = (make_key(self.seed, "data", self._process, self.epoch, index) for index in range(len(batches)))
        return islice(map(Batch, batches, keys), self.first_batch, None)

    def __len__(self) -> int:
        return -(-self._n_own // self.batch_size) - self._leaves_one

    @property
    def _n_own(self) -> int:
        return self.n_data // self._n_processes

    @property
    def _leaves_one(self) -> bool:
        return self._n_own > self.batch_size > 1 and self._n_own % self.batch_size == 1


class Trips(Sampler[list[Batch]]):
    """The batches of an epoch, several at a time.

    A trip ends wherever the number of batches since the training began is a multiple of `n_steps`, and at the end of an
    epoch. Every epoch has as many trips, because the Trainer asks but once: the first one of an epoch that would have
    one fewer is parted after its first batch.

    Args:
        batches: The batches.
        n_steps: Number of batches in a trip.
    """

    def __init__(self, batches: ShuffledBatches, n_steps: int) -> None:
        self.batches = batches
        self.n_steps = n_steps
        self.limit: int | None = None
        """Number of batches that an epoch has at most."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this at the beginning of each."""
        self.batches.set_epoch(epoch)

    @property
    def n_batches(self) -> int:
        """Number of batches of an epoch."""
        return len(self.batches) if self.limit is None else min(len(self.batches), self.limit)

    def get_first(self, trip: int) -> int:
        """Give the position in the epoch of the first batch of a trip; after the last trip, the number of batches."""
        if trip == len(self):
            return self.n_batches
        first, others = self._split()
        start = first[trip] if trip < len(first) else others[trip - len(first)]
        return max(start, self.batches.first_batch)

    def find(self, batch: int) -> int:
        """Give the position in the epoch of the trip that a batch is in."""
        first, others = self._split()
        return bisect(first, batch) + bisect(others, batch) - 1

    def __iter__(self) -> Iterator[list[Batch]]:
        batches = iter(self.batches)
        for trip in range(self.find(self.batches.first_batch), len(self)):
            yield list(islice(batches, self.get_first(trip + 1) - self.get_first(trip)))

    def __len__(self) -> int:
        return 1 + self._count_after(1)

    def _split(self) -> tuple[list[int], range]:
        """Give the batches that trips begin with, by position in the epoch: the first, and those at equal distances."""
        second = self.n_steps - self.batches.epoch * self.n_batches % self.n_steps
        parted = [1] if self._count_after(second) < self._count_after(1) else []
        return [0, *parted], range(second, self.n_batches, self.n_steps)

    def _count_after(self, batch: int) -> int:
        """Count the trips of an epoch from a batch on, with which one begins."""
        return len(range(batch, self.n_batches, self.n_steps))


class _Batches(Dataset[Any]):
    """A data set read batch by batch, or by several batches at a time."""

    def __init__(self, data_set: SizedDataset) -> None:
        self.data_set = data_set

    def __getitem__(self, wanted: Batch | list[Batch]) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        return [self._read(batch) for batch in wanted] if isinstance(wanted, list) else self._read(wanted)

    def __len__(self) -> int:
        return len(self.data_set)

    def _read(self, batch: Batch) -> dict[str, Tensor]:
        seed_generators(batch.key)
        return get_batch(self.data_set, batch.indices)


def _hear_training_alone(worker: int) -> None:
    """Let no signal end a worker but that of the training: the step that a signal comes in is to be finished.

    Ctrl-C goes to all of a group of processes, and a cluster's warning to each process of a job.
    """
    os.setpgrp()
    for number in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":  # others do not tell who has sent a signal
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        threading.Thread(target=_end_when_told, daemon=True).start()


def _end_when_told() -> None:
    """End this process when the training, which has started it, sends SIGTERM."""
    assert sys.platform == "linux"
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != os.getppid():
        pass
    os._exit(0)


def make_train_loader(
    data_set: SizedDataset, batch_size: int, seed: int, num_workers: int = 0, pin_memory: bool = False
) -> DataLoader[Any]:
    """Make the loader of shuffled training batches.

    A `frame_core.BatchedDataset` is read in this process, by tensor slices; every other data set goes
    through the workers, sample by sample.

    Args:
        data_set: The data.
        batch_size: Number of data in a batch; `ShuffledBatches` says what the last one holds.
        seed: Seed of the permutations.
        num_workers: Number of processes that read a data set that is not in memory.
        pin_memory: Whether batches lie in pinned memory; without effect where there is no GPU.

    Raises:
        ValueError: A number is out of its range.
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be positive, got {batch_size!r}.")
    if num_workers < 0:
        raise ValueError(f"`num_workers` must not be negative, got {num_workers!r}.")
    n_processes = 0 if isinstance(data_set, BatchedDataset) else num_workers
    return DataLoader(
        _Batches(data_set),
        batch_size=None,
        sampler=ShuffledBatches(len(data_set), batch_size, seed),
        num_workers=n_processes,
        persistent_workers=n_processes > 0,
        worker_init_fn=_hear_training_alone if n_processes > 0 else None,
        pin_memory=pin_memory and torch.cuda.is_available(),
    )


def read_with_workers(
    data_set: SizedDataset, batches: Sequence[Tensor], num_workers: int
) -> Iterator[dict[str, Tensor]]:
    """Read the batches of an evaluation as a training reads its own.

    Workers read them in pieces: a batch of an evaluation may be larger than what processes share memory for.

    Args:
        data_set: The data.
        batches: The indices of each batch.
        num_workers: Number of data-loading workers, at least one.
    """
    pieces = [indices.split(_PIECE) for indices in batches]
    if sum(map(len, pieces)) <= 1:
        return (get_batch(data_set, indices) for indices in batches)
    keyed = [Batch(piece, make_key(0, "evaluation", index)) for index, piece in enumerate(chain(*pieces))]
    loader = DataLoader(
        _Batches(data_set),
        batch_size=None,
        sampler=keyed,
        num_workers=min(num_workers, len(keyed)),
        worker_init_fn=_hear_training_alone,
        generator=torch.Generator(),  # nothing is drawn from that of the evaluation
    )
    read = iter(loader)
    return (_join(list(islice(read, len(of_batch)))) for of_batch in pieces)


def _join(pieces: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put the pieces of a batch together; texts are in lists."""
    parts = {name: [piece[name] for piece in pieces] for name in pieces[0]}
    return {name: torch.cat(of) if isinstance(of[0], Tensor) else list(chain(*of)) for name, of in parts.items()}


class DataWithWorkers(Mapping[str, SizedDataset]):
    """The splits of an optimization, read by data-loading workers in evaluations unless they are in memory.

    Args:
        optimization: The optimization. Its data are requested when a split is.
        num_workers: Number of data-loading workers.
    """

    def __init__(self, optimization: Optimization, num_workers: int) -> None:
        self._optimization = optimization
        self._num_workers = num_workers

    def __getitem__(self, split: str) -> SizedDataset:
        data_set = cast(SizedDataset | None, self._optimization.data[split])
        if data_set is None or self._num_workers == 0 or isinstance(data_set, BatchedDataset):
            return cast(SizedDataset, data_set)
        return _DatasetWithWorkers(data_set, self._num_workers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._optimization.data)

    def __len__(self) -> int:
        return len(self._optimization.data)


class _DatasetWithWorkers:
    """A data set that reads several batches with data-loading workers (`frame_core.PrefetchingDataset`)."""

    def __init__(self, data_set: SizedDataset, num_workers: int) -> None:
        self._data_set = data_set
        self._num_workers = num_workers

    def __len__(self) -> int:
        return len(self._data_set)

    def __getitem__(self, index: int) -> Any:
        return self._data_set[index]

    def __getattr__(self, name: str) -> Any:
        if name == "_data_set":  # asked for while this object is copied
            raise AttributeError(name)
        return getattr(self._data_set, name)

    def read_batches(self, batches: Sequence[Tensor]) -> Iterator[dict[str, Tensor]]:
        """Read several batches, in order."""
        return read_with_workers(self._data_set, batches, self._num_workers)


def join_trips(loader: DataLoader[Any], trips: Trips) -> DataLoader[Any]:
    """Give a loader of the same batches that gives those of a trip together, as a list.

    Args:
        loader: What `make_train_loader` made, with the sampler of the trips' batches.
        trips: The trips.
    """
    return DataLoader(
        loader.dataset,
        batch_size=None,
        sampler=trips,
        num_workers=loader.num_workers,
        persistent_workers=loader.persistent_workers,
        worker_init_fn=loader.worker_init_fn,
        pin_memory=loader.pin_memory,
    )


def move_loader(loader: DataLoader[Any], device: torch.device) -> DataLoader[Any]:
    """Give a loader of the same batches that makes them on an accelerator, where the data fit there.

    Args:
        loader: What `make_train_loader` made.
        device: The device of the model.
    """
    data_set = cast(_Batches, loader.dataset).data_set
    placed = place(data_set, device, read_free_memory(device))
    if placed is data_set:
        return loader
    cast(ShuffledBatches, loader.sampler).device = device
    return DataLoader(_Batches(placed), batch_size=None, sampler=loader.sampler)
