import torch

from frame_core import get_batch, is_in_memory
from frame_train.data import Binarized, Digits, InMemoryDataset
from frame_train.data.loaders import make_train_loader
from frame_train.data.sampling import ShuffledBatches, StepGroups


def test_a_pixel_is_one_with_the_probability_of_its_gray_value() -> None:
    gray = torch.linspace(0, 1, 64).view(1, 1, 8, 8)
    data_set = Binarized(InMemoryDataset({"x": gray.expand(10_000, 1, 8, 8)}))
    torch.manual_seed(0)
    x = data_set.get_batch(torch.arange(10_000))["x"]
    assert set(x.unique().tolist()) == {0, 1}
    error = (gray * (1 - gray) / 10_000).sqrt()
    assert bool(((x.mean(0) - gray[0]).abs() <= 4.5 * error[0] + 1e-6).all())  # standard errors, of 64 pixels


def read_epoch(epoch: int, first_batch: int = 0) -> list[torch.Tensor]:
    batches = ShuffledBatches(250, 100, seed=0)
    batches.start_at(epoch, first_batch)
    return [batch["x"] for batch in make_train_loader(Binarized(Digits("valid")), StepGroups(batches))]


def test_training_images_are_drawn_anew_each_epoch_and_equally_after_a_resume() -> None:
    first, again, second = read_epoch(0), read_epoch(0, first_batch=1), read_epoch(1)
    assert all(torch.equal(one, other) for one, other in zip(first[1:], again, strict=True))
    orders = [torch.cat([x.flatten(1).sum(1) for x in epoch]).sort().values for epoch in (first, second)]
    assert not torch.equal(*orders)  # more than the order differs


def test_images_with_a_seed_are_the_same_each_time_they_are_read() -> None:
    data_set = Binarized(Digits("valid"), seed=0)
    x = get_batch(data_set, torch.arange(250))["x"]
    assert set(x.unique().tolist()) == {0, 1}
    assert torch.equal(get_batch(data_set, torch.tensor([7, 3]))["x"], x[[7, 3]])
    assert torch.equal(Binarized(Digits("valid"), seed=0)[7]["x"], x[7])
    assert not torch.equal(Binarized(Digits("valid"), seed=1)[7]["x"], x[7])
    assert torch.equal(get_batch(data_set, torch.arange(250))["y"], get_batch(Digits("valid"), torch.arange(250))["y"])


def test_binarized_data_stay_in_memory() -> None:
    assert is_in_memory(Binarized(Digits("valid")))
    assert Binarized(Digits("valid")).n_bytes == Digits("valid").n_bytes
