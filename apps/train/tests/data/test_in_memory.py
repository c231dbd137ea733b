import pytest
import torch

from frame_core import BatchedDataset
from frame_train.data import MNIST, Digits, InMemoryDataset


def test_tensors_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="equally long"):
        InMemoryDataset({"x": torch.zeros(3), "y": torch.zeros(4)})


@pytest.mark.parametrize("name", ["MNIST", "Digits"])
def test_images_are_floats_in_the_unit_interval_and_labels_are_integers(
    name: str, request: pytest.FixtureRequest
) -> None:
    data_set = Digits("valid") if name == "Digits" else MNIST(str(request.getfixturevalue("data_root")), "valid")
    batch = data_set.get_batch(torch.arange(200))
    size = 8 if name == "Digits" else 28
    assert batch["x"].shape == (200, 1, size, size)
    assert (batch["x"].min(), batch["x"].max()) == (0, 1)
    assert batch["y"].dtype == torch.long
    assert set(batch["y"].tolist()) == set(range(10))
    assert isinstance(data_set, BatchedDataset)
    torch.testing.assert_close(data_set[7]["x"], batch["x"][7])
