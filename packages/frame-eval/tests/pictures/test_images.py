import pytest
import torch
from torchvision.utils import make_grid

from frame_core import IMAGE_ENTRY, LogEntry
from frame_eval.pictures.images import make_grid_entry


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("n_images", "n_columns"), [(1, 1), (1, 4), (2, 2), (3, 2), (7, 3), (2, 5)])
def test_a_grid_is_that_of_torchvision(n_images: int, n_columns: int, channels: int) -> None:
    images = torch.rand(n_images, channels, 4, 5) * 3 - 1
    entry = make_grid_entry(images, n_columns)
    expected = LogEntry(IMAGE_ENTRY, make_grid(images.clamp(0, 1), nrow=n_columns))
    assert torch.equal(entry.value, expected.value)
