import math

import pytest
import torch
from torch import Tensor

from frame_train.data import Shapes

AXIS = (torch.arange(32) + 0.5) / 16 - 1  # the centers of the pixels, from -1 to 1


@pytest.fixture(scope="module")
def batch() -> dict[str, Tensor]:
    return Shapes("valid").get_batch(torch.arange(600))


def test_the_splits_have_each_combination_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frame_train.data.sources.shapes._render", torch.zeros_like)  # to render all takes seconds
    splits = [Shapes(split) for split in ("train", "valid", "test")]
    factors = torch.cat([split.get_batch(torch.arange(len(split)))["factors"] for split in splits])
    assert len(factors.unique(dim=0)) == len(factors) == 3 * 4 * 8 * 8 * 8 * 6
    assert factors.amax(0).tolist() == [2, 3, 7, 7, 7, 5]


def test_no_two_images_are_equal(batch: dict[str, Tensor]) -> None:
    assert len(batch["x"].flatten(1).unique(dim=0)) == 600


def get_mass(batch: dict[str, Tensor]) -> Tensor:
    """Return how much of each pixel is covered, of shape (batch, 32, 32)."""
    return batch["x"].amax(1)


def test_the_area_is_that_of_the_shape(batch: dict[str, Tensor]) -> None:
    radius = 0.18 + 0.06 * batch["factors"][:, 1]
    areas = torch.tensor([1.6**2, math.pi / 2, 3 * math.sqrt(3) / 4])  # of the radius 1
    area = get_mass(batch).sum((1, 2)) / 16**2
    torch.testing.assert_close(area, areas[batch["y"]] * radius**2, rtol=0.1, atol=0)  # pixels are coarse


def test_the_center_is_at_the_column_and_row(batch: dict[str, Tensor]) -> None:
    mass = get_mass(batch)
    mass = mass / mass.sum((1, 2), keepdim=True)
    x, y = (mass.sum(1) * AXIS).sum(1), (mass.sum(2) * AXIS).sum(1)
    expected = (batch["factors"][:, 3:5] - 3.5) / 7
    torch.testing.assert_close(torch.stack([x, y], dim=1), expected, rtol=0, atol=0.01)


def test_the_ellipse_is_turned_by_the_rotation(batch: dict[str, Tensor]) -> None:
    chosen = (batch["y"] == 1) & (batch["factors"][:, 1] > 1)  # the larger ones are not coarse
    mass, factors = get_mass(batch)[chosen], batch["factors"][chosen]
    column, row = ((factors[:, 3:5] - 3.5) / 7).unbind(1)
    right = (AXIS - column.view(-1, 1)).unsqueeze(1)
    down = (AXIS - row.view(-1, 1)).unsqueeze(2)
    moments = [(mass * moment).sum((1, 2)) for moment in (right**2, down**2, right * down)]
    angle = torch.atan2(2 * moments[2], moments[0] - moments[1]) / 2  # of the longer axis
    difference = (angle - factors[:, 2] * math.pi / 16 + math.pi / 2) % math.pi - math.pi / 2
    assert difference.abs().max() < 0.05


def test_the_color_is_the_same_in_the_whole_shape(batch: dict[str, Tensor]) -> None:
    hues = batch["x"] / get_mass(batch).unsqueeze(1).clamp(min=1e-9)
    colors = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]])
    expected = colors[batch["factors"][:, 5]].view(-1, 3, 1, 1) * (get_mass(batch) > 0).unsqueeze(1)
    torch.testing.assert_close(hues, expected.float())


def test_no_shape_is_cut_off() -> None:
    x = Shapes("test").get_batch(torch.arange(2000))["x"]
    edges = [x[..., 0, :], x[..., -1, :], x[..., 0], x[..., -1]]
    assert all(not bool(edge.any()) for edge in edges)


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="`split` must be one of 'train', 'valid', 'test', got 'all'"):
        Shapes("all")
