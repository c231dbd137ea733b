"""Loaders of training batches and of the batches of an evaluation."""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, cast

import torch
from torch import Tensor, distributed
from torch.utils.data import DataLoader, Dataset

from frame_core import Optimization, SizedDataset, find_collate_fn, get_batch, is_in_memory, seed_generators, seeded
from frame_train.data.placement import place, read_free_memory
from frame_train.data.sampling import Batch, ShuffledBatches, StepGroups
from frame_train.data.seeding import derive_seed, get_run_seed
from frame_train.errors import TrainingError, describe_error

_CHUNK = 64  # examples that a worker reads at a time for an evaluation
_CPU = torch.device("cpu")
_UNREADABLE = "A batch of the data can't be read: "


class BatchError(TrainingError):
    """A batch of the data that can't be read.

    Args:
        message: The message. If a data-loading worker raised the error, torch prefixes the worker's traceback.
    """

    def __init__(self, message: str) -> None:
        start = message.rfind(_UNREADABLE)
        super().__init__(message[start:].strip())
        self.add_note(message[:start])  # shown in the traceback


class _Batches(Dataset[Any]):
    """A data set whose items are batches or step groups.

    Raises:
        BatchError: A batch can't be read.
    """

    def __init__(self, data_set: SizedDataset) -> None:
        self.data_set = data_set

    def __getitem__(self, wanted: Batch | list[Batch]) -> dict[str, Any] | list[dict[str, Any]]:
        return [self._read(batch) for batch in wanted] if isinstance(wanted, list) else self._read(wanted)

    def __len__(self) -> int:
        return len(self.data_set)

    def _read(self, batch: Batch) -> dict[str, Any]:
        seed_generators(batch.seed)
        try:
            read = get_batch(self.data_set, batch.indices)
        except Exception as error:
            raise BatchError(f"{_UNREADABLE}{describe_error(error)}") from error
        return read if batch.own is None else {name: _select(value, batch.own) for name, value in read.items()}


def _select(value: Any, own: slice) -> Any:
    """Select examples from a tensor or a list."""
    return value[own].contiguous() if isinstance(value, Tensor) else value[own]


class TrainLoader:
    """A loader of training batches that can begin an epoch at any batch.

    It reads nothing before the first batch is requested. Until then, ``sampler.start_at`` chooses the epoch and its
    first batch. Lightning does not replace its sampler, which already distributes examples to processes.

    Args:
        loader: The loader that reads the batches.
    """

    def __init__(self, loader: DataLoader[Any]) -> None:
        self.sampler = cast(ShuffledBatches | StepGroups, loader.sampler)
        self.dataset = loader.dataset
        self.num_workers = loader.num_workers
        self.pin_memory = loader.pin_memory
        self._loader = loader

    def __iter__(self) -> Iterator[Any]:
        if self.num_workers > 0 or self.pin_memory:
            yield from self._loader
        else:  # a `DataLoader` would record each read for torch's profiler, which takes longer than a small read
            yield from (self._loader.collate_fn(self.dataset[wanted]) for wanted in self.sampler)

    def __len__(self) -> int:
        return len(self._loader)

    @property
    def _iterator(self) -> Any:
        """Iterator of the loader, by which Lightning ends its workers."""
        return cast(Any, self._loader)._iterator

    @_iterator.setter
    def _iterator(self, iterator: Any) -> None:
        cast(Any, self._loader)._iterator = iterator


def make_shuffled_loader(
    data_set: SizedDataset,
    batch_size: int,
    num_workers: int = 0,
    pin_memory: bool = True,
    device: torch.device = _CPU,
) -> TrainLoader:
    """Make the loader of shuffled training batches for the ``train_dataloader`` of any `LightningModule`.

    The order depends on the run's seed and the epoch alone, so that a run resumes exactly, also within an epoch. Each
    of several processes reads its share.

    Args:
        data_set: The data set.
        batch_size: Number of examples in a batch, of each process if there are several.
        num_workers: Number of data-loading workers. This process reads in-memory data sets itself.
        pin_memory: Whether batches are in pinned memory; it has no effect without a GPU.
        device: Device of the model, ``self.device``: an in-memory data set that fits on a GPU is copied there.
    """
    batches = ShuffledBatches(len(data_set), batch_size, get_run_seed())
    if distributed.is_available() and distributed.is_initialized():
        batches.share(distributed.get_world_size(), distributed.get_rank())
    return make_train_loader(data_set, StepGroups(batches), num_workers, pin_memory, device)


def make_train_loader(
    data_set: SizedDataset,
    groups: StepGroups,
    num_workers: int = 0,
    pin_memory: bool = False,
    device: torch.device = _CPU,
) -> TrainLoader:
    """Make the loader of shuffled training batches, one by one or a step group at a time.

    This process reads an in-memory data set itself, by tensor slices. Workers read every other data set.

    If there are several processes, each reads the batch of all of them from an in-memory data set, and keeps its share.
    So draws of the data set, such as random views, do not depend on the number of processes.

    Args:
        data_set: The data set.
        groups: The step groups; groups of one step come as plain batches.
        num_workers: Number of data-loading workers.
        pin_memory: Whether batches are in pinned memory; it has no effect without a GPU.
        device: Device of the model; an in-memory data set that fits on a GPU is copied there and makes its batches
            there.
    """
    placed = place(data_set, device, read_free_memory(device))
    if placed is not data_set:
        groups.batches.device = device
    groups.batches.is_joint = is_in_memory(placed)
    n_workers = 0 if is_in_memory(placed) else num_workers
    loader = DataLoader[Any](
        _Batches(placed),
        batch_size=None,
        sampler=groups.batches if groups.n_steps == 1 else groups,
        num_workers=n_workers,
        persistent_workers=n_workers > 0,
        worker_init_fn=_ignore_signals if n_workers > 0 else None,
        pin_memory=pin_memory and placed is data_set and torch.cuda.is_available(),
    )
    return TrainLoader(loader)


def read_with_workers(data_set: SizedDataset, batches: Sequence[Tensor], num_workers: int) -> Iterator[dict[str, Any]]:
    """Read the batches of an evaluation with data-loading workers.

    Without workers, or if there is only one chunk, this process reads the batches. Workers read a batch in chunks,
    because it may exceed the shared memory of the processes. A ``collate_fn`` receives all examples of a batch at once,
    because it may pad chunks to different lengths. Each chunk has its own seed, so the examples do not depend on the
    number of workers.

    Args:
        data_set: The data set.
        batches: The indices of each batch.
        num_workers: Number of data-loading workers.
    """
    size = _CHUNK if find_collate_fn(data_set) is None else max(map(len, batches), default=1)
    chunks = [indices.split(size) for indices in batches]
    wanted = [Batch(chunk, derive_seed(0, "evaluation", index)) for index, chunk in enumerate(chain(*chunks))]
    if num_workers == 0 or len(wanted) == 1:
        read = _read_here(_Batches(data_set), wanted)
    else:
        loader = DataLoader(
            _Batches(data_set),
            batch_size=None,
            sampler=wanted,
            num_workers=min(num_workers, len(wanted)),
            worker_init_fn=_ignore_signals,
            generator=torch.Generator(),  # so that the loader does not use the generator of the evaluation
        )
        read = iter(loader)
    return (_join(list(islice(read, len(of_batch)))) for of_batch in chunks)


def _read_here(data_set: _Batches, batches: Sequence[Batch]) -> Iterator[Any]:
    for batch in batches:
        with seeded(batch.seed):  # this process also draws the noise of the evaluation
            read = data_set[batch]
        yield read


def _join(chunks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Join the chunks of a batch: tensors, or lists such as texts."""
    parts = {name: [chunk[name] for chunk in chunks] for name in chunks[0]}
    return {name: torch.cat(of) if isinstance(of[0], Tensor) else list(chain(*of)) for name, of in parts.items()}


class DataWithWorkers(Mapping[str, SizedDataset]):
    """The splits of an optimization, read by data-loading workers in evaluations unless they are in memory.

    Args:
        optimization: The optimization. Its data is not read before a split is requested.
        num_workers: Number of data-loading workers.
    """

    def __init__(self, optimization: Optimization, num_workers: int) -> None:
        self._optimization = optimization
        self._num_workers = num_workers

    def __getitem__(self, split: str) -> SizedDataset:
        data_set = cast(SizedDataset | None, self._optimization.data[split])
        if data_set is None or is_in_memory(data_set):
            return cast(SizedDataset, data_set)
        return _DatasetWithWorkers(data_set, self._num_workers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._optimization.data)

    def __len__(self) -> int:
        return len(self._optimization.data)


class _DatasetWithWorkers:
    """A data set that reads several batches with data-loading workers (`frame_core.PrefetchingDataset`)."""

    def __init__(self, data_set: SizedDataset, num_workers: int) -> None:
        self.data_set = data_set
        self._num_workers = num_workers

    def __len__(self) -> int:
        return len(self.data_set)

    def __getitem__(self, index: int) -> Any:
        return self.data_set[index]

    def __getattr__(self, name: str) -> Any:
        if name == "data_set":  # requested while this object is copied
            raise AttributeError(name)
        return getattr(self.data_set, name)

    def get_batch(self, indices: Tensor) -> dict[str, Any]:
        """Return one batch."""
        return get_batch(self.data_set, indices)

    def read_batches(self, batches: Sequence[Tensor]) -> Iterator[dict[str, Any]]:
        """Read several batches, in order."""
        return read_with_workers(self.data_set, batches, self._num_workers)


def _ignore_signals(worker: int) -> None:
    """Make a data worker ignore every signal except SIGTERM from the trainer, so that a step can be completed.

    Ctrl-C reaches all processes of a group, and the warning of a cluster reaches all processes of a job.
    """
    os.setpgrp()
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":  # other systems do not report the sender of a signal
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        threading.Thread(target=_exit_on_sigterm_of_trainer, daemon=True).start()


def _exit_on_sigterm_of_trainer() -> None:
    """Exit when the trainer, which is the parent process, sends SIGTERM."""
    assert sys.platform == "linux"
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != os.getppid():
        pass
    os._exit(0)
