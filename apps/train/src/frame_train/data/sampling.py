"""Samplers of training batches, in an order that depends only on the seed and the epoch."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Sampler

from frame_core import check_count
from frame_train.data.seeding import derive_seed


class Batch(NamedTuple):
    """The indices of the examples in a batch, and the seed for reading them, for example for random views.

    If it is a batch of several processes, ``own`` is the part that this process trains on.
    """

    indices: Tensor
    seed: int
    own: slice | None = None


class ShuffledBatches(Sampler[Batch]):
    """The batches of an epoch, in a permutation that is a function of (seed, epoch).

    Each of several processes has its own share of the examples. At each step, their batches together are the batch of
    a single process with a batch size larger by the number of processes. Examples that do not divide evenly across the
    processes are dropped; the choice changes every epoch.

    The last batch may be smaller than the others. If it had a single example, that example joins the batch before it,
    because batch normalization and contrastive losses need at least two.

    Args:
        n_examples: Number of examples.
        batch_size: Number of examples in a batch.
        seed: The seed.

    Raises:
        TypeError: ``batch_size`` is not an integer.
        ValueError: ``batch_size`` is not positive.
    """

    def __init__(self, n_examples: int, batch_size: int, seed: int) -> None:
        self.n_examples = n_examples
        self.batch_size = check_count("batch_size", batch_size)
        self.seed = seed
        self.device = torch.device("cpu")  # of the indices; the permutation does not depend on the device
        self.is_joint = False  # whether each process reads the batch of all, so that their views are the same
        self.epoch = 0
        self.first_batch = 0
        self._n_processes = 1
        self._process = 0

    def share(self, n_processes: int, process: int, batch_size: int | None = None) -> None:
        """Choose the share of one of several processes, counted from 0, and its batch size, unless it stays."""
        self._n_processes = n_processes
        self._process = process
        self.batch_size = batch_size or self.batch_size

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this at the beginning of each."""
        if epoch != self.epoch:
            self.start_at(epoch, 0)

    def start_at(self, epoch: int, batch: int) -> None:
        """Choose the epoch and its first batch."""
        self.epoch = epoch
        self.first_batch = batch

    def __iter__(self) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", self.epoch))
        order = torch.randperm(self.n_examples, generator=generator).to(self.device)
        batches = list(order[: self._n_own * self._n_processes].split(self.batch_size * self._n_processes))
        if self._leaves_one:
            batches[-2:] = [torch.cat(batches[-2:])]
        return islice((self._share(index, batch) for index, batch in enumerate(batches)), self.first_batch, None)

    def __len__(self) -> int:
        return -(-self._n_own // self.batch_size) - self._leaves_one

    @property
    def own(self) -> slice | None:
        """The part of the batch of all processes that this process trains on; None for a single process."""
        return None if self._n_processes == 1 else slice(self._process, None, self._n_processes)

    def _share(self, index: int, batch: Tensor) -> Batch:
        """Return the batch of all processes with the slice of this one if `is_joint`, else only its examples."""
        if self.is_joint or self.own is None:
            return Batch(batch, derive_seed(self.seed, "data", 0, self.epoch, index), self.own)
        return Batch(batch[self.own], derive_seed(self.seed, "data", self._process, self.epoch, index))

    @property
    def _n_own(self) -> int:
        return self.n_examples // self._n_processes

    @property
    def _leaves_one(self) -> bool:
        return self._n_own > self.batch_size > 1 and self._n_own % self.batch_size == 1


def count_accumulated(global_batch_size: int, largest: int, n_processes: int) -> int:
    """Return the smallest number of equal batches that make up a global batch.

    Args:
        global_batch_size: Number of examples in an optimizer step, of all processes together.
        largest: Largest number of examples in a batch of one process.
        n_processes: Number of processes.

    Raises:
        ValueError: The processes can't share the global batch evenly.
    """
    if global_batch_size % n_processes != 0:
        raise ValueError(
            f"`optimization.global_batch_size` must be a multiple of {n_processes}, the number of processes, got "
            f"{global_batch_size}."
        )
    of_process = global_batch_size // n_processes
    batch_size = next(n for n in range(min(largest, of_process), 0, -1) if of_process % n == 0)
    return of_process // batch_size


class StepGroups(Sampler[list[Batch]]):
    """The batches of an epoch in step groups. The Trainer's loop runs once for all steps of a group.

    A group ends when the number of steps since training began is a multiple of `n_steps`, and at the end of an epoch.
    So an event after every `n_steps` steps is on time in every epoch. Lightning reads the number of groups only once.
    So an epoch that would have one group fewer than others starts with a group of one step.

    Args:
        batches: The batches.
        n_steps: Greatest number of steps in a group.
        limit: Greatest number of batches in an epoch; None for no limit.
    """

    def __init__(self, batches: ShuffledBatches, n_steps: int = 1, limit: int | None = None) -> None:
        self.batches = batches
        self.n_steps = n_steps
        self._limit = limit

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this at the beginning of each."""
        self.batches.set_epoch(epoch)

    @property
    def n_batches(self) -> int:
        """Number of batches in an epoch."""
        return len(self.batches) if self._limit is None else min(len(self.batches), self._limit)

    def find(self, batch: int) -> int:
        """Return the position in the epoch of the group with a batch, or the number of groups after the last batch."""
        if batch >= self.n_batches:
            return len(self)
        if batch < self._first_end:
            return min(batch, self._n_early - 1)
        return self._n_early + (batch - self._first_end) // self.n_steps

    def __iter__(self) -> Iterator[list[Batch]]:
        batches, start = iter(self.batches), self.batches.first_batch
        for group in range(self.find(start), len(self)):
            end = self._get_end(group)
            yield list(islice(batches, end - start))
            start = end

    def __len__(self) -> int:
        return 1 + self._count_groups(1)

    @property
    def _first_end(self) -> int:
        """Number of batches from the start of the epoch to the first multiple of `n_steps`."""
        return self.n_steps - self.batches.epoch * self.n_batches % self.n_steps

    @property
    def _n_early(self) -> int:
        """Number of groups before the first multiple of `n_steps`: one, or two if the first has a single step."""
        return len(self) - self._count_groups(self._first_end)

    def _count_groups(self, start: int) -> int:
        """Count the groups from a batch at which a group starts to the end of the epoch."""
        return len(range(start, self.n_batches, self.n_steps))

    def _get_end(self, group: int) -> int:
        """Return the position in the epoch of the first batch after a group."""
        n_behind = group + 1 - self._n_early
        return 1 if n_behind < 0 else min(self._first_end + n_behind * self.n_steps, self.n_batches)
