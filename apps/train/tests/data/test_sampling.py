import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from frame_train.data.sampling import Batch, ShuffledBatches, StepGroups, count_accumulated


@given(st.integers(1, 50), st.integers(1, 60), st.integers(0, 2**63), st.integers(0, 100))
def test_an_epoch_holds_every_example_once(n_examples: int, batch_size: int, seed: int, epoch: int) -> None:
    sampler = ShuffledBatches(n_examples, batch_size, seed)
    sampler.set_epoch(epoch)
    batches = [batch.indices for batch in sampler]
    assert sorted(torch.cat(batches).tolist()) == list(range(n_examples))
    assert len(batches) == len(sampler)
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert len(batches[-1]) <= batch_size + 1
    assert len(batches[-1]) > 1 or 1 in (n_examples, batch_size)


@given(st.integers(5, 60), st.integers(1, 20), st.integers(1, 5), st.integers(0, 9))
def test_processes_share_an_epoch_without_overlap(
    n_examples: int, batch_size: int, n_processes: int, epoch: int
) -> None:
    shares: list[list[Batch]] = []
    for process in range(n_processes):
        sampler = ShuffledBatches(n_examples, batch_size, seed=3)
        sampler.share(n_processes, process)
        sampler.set_epoch(epoch)
        shares.append(list(sampler))
        assert len(sampler) == len(shares[-1])
    seen = [index for share in shares for batch in share for index in batch.indices.tolist()]
    assert len(set(seen)) == len(seen) == n_examples - n_examples % n_processes
    seeds = [batch.seed for share in shares for batch in share]
    assert len(set(seeds)) == len(seeds)
    one = ShuffledBatches(n_examples, batch_size * n_processes, seed=3)
    one.set_epoch(epoch)
    for batch, *parts in zip(one, *shares):
        together = sorted(index for part in parts for index in part.indices.tolist())
        if len(together) == batch_size * n_processes == len(batch.indices):
            assert together == sorted(batch.indices.tolist())


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 9), st.data())
def test_an_epoch_resumed_at_a_batch_has_the_remaining_batches(
    n_examples: int, batch_size: int, epoch: int, data: st.DataObject
) -> None:
    whole = ShuffledBatches(n_examples, batch_size, seed=3)
    whole.set_epoch(epoch)
    batches = [(batch.indices.tolist(), batch.seed) for batch in whole]
    first = data.draw(st.integers(0, len(batches)))
    resumed = ShuffledBatches(n_examples, batch_size, seed=3)
    resumed.start_at(epoch, first)
    assert [(batch.indices.tolist(), batch.seed) for batch in resumed] == batches[first:]
    resumed.set_epoch(epoch)  # Lightning repeats the call
    assert len(list(resumed)) == len(batches) - first
    resumed.set_epoch(epoch + 1)
    assert len(list(resumed)) == len(batches)


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9), st.integers(0, 50), st.integers(1, 50) | st.none())
def test_step_groups_contain_the_batches_of_an_epoch_in_order(
    n_examples: int, batch_size: int, n_steps: int, first: int, limit: int | None
) -> None:
    batches = ShuffledBatches(n_examples, batch_size, seed=0)
    groups = StepGroups(batches, n_steps, limit)
    n_done, ends = 0, set[int]()
    for epoch in range(4):
        batches.start_at(epoch, 0)
        expected = [batch.seed for batch in batches][:limit]
        complete = [[batch.seed for batch in group] for group in groups]
        assert [seed for group in complete for seed in group] == expected
        assert len(complete) == len(groups)  # Lightning reads the length once for all epochs
        assert all(1 <= len(group) <= n_steps for group in complete)
        assert groups.n_batches == len(expected)
        positions = [index for index, group in enumerate(complete) for _ in group]
        assert [groups.find(batch) for batch in range(len(expected) + 2)] == [*positions, len(groups), len(groups)]
        for group in complete:
            n_done += len(group)
            ends.add(n_done)
        batches.start_at(epoch, first)
        resumed = [[batch.seed for batch in group] for group in groups]
        assert [seed for group in resumed for seed in group] == expected[first:]
        assert resumed[1:] == complete[groups.find(first) + 1 :]
    assert ends >= set(range(n_steps, n_done + 1, n_steps))


@pytest.mark.parametrize(
    ("global_batch_size", "largest", "n_processes", "expected"),
    [(16, 5, 2, 2), (12, 5, 1, 3), (7, 5, 1, 7), (5, 5, 1, 1), (3, 64, 1, 1), (10**23 + 1, 64, 1, (10**23 + 1) // 47)],
)
def test_a_global_batch_has_as_few_equal_batches_as_possible(
    global_batch_size: int, largest: int, n_processes: int, expected: int
) -> None:
    assert count_accumulated(global_batch_size, largest, n_processes) == expected
