import math
from typing import Any

import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import affine

from frame_core import is_in_memory
from frame_train.data import Digits, RandomView, TwoViews
from frame_train.data.wrappers.views import transform_affinely


def test_two_views_show_one_example_and_differ() -> None:
    torch.manual_seed(0)
    views = TwoViews(Digits("valid"))
    batch = views.get_batch(torch.arange(100))
    assert torch.equal(batch["x"], Digits("valid").get_batch(torch.arange(100))["x"])
    assert batch["v1"].shape == batch["v2"].shape == batch["x"].shape
    assert not torch.equal(batch["v1"], batch["v2"])
    distance = (batch["v1"] - batch["x"]).flatten(1).norm(dim=1)
    to_another = (batch["v1"] - batch["x"].roll(1, 0)).flatten(1).norm(dim=1)
    assert (distance < to_another).float().mean() > 0.7  # four standard errors above chance
    assert views[3]["v1"].shape == (1, 8, 8)
    assert len(views) == 250


def test_a_view_without_any_change_equals_the_image() -> None:
    x = Digits("valid").get_batch(torch.arange(10))["x"]
    torch.testing.assert_close(RandomView(rotation=0, shift=0, scaling=0, shear=0, corruption=0)(x), x)


@pytest.mark.parametrize("size", [(8, 8), (10, 14)])
def test_an_affine_view_is_the_one_that_torchvision_makes(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.rand(5, 3, *size)
    rotation, shear, scale = torch.rand(5) - 0.5, torch.rand(5) - 0.5, 0.5 + torch.rand(5)
    pixels = torch.randint(-2, 3, (5, 2))
    views = transform_affinely(x, rotation, 2 * pixels / torch.tensor([size[1], size[0]]), scale, shear)
    for index, view in enumerate(views):
        expected = affine(
            x[index],
            angle=math.degrees(rotation[index]),
            translate=pixels[index].tolist(),
            scale=scale[index].item(),
            shear=[math.degrees(shear[index]), 0.0],
            interpolation=InterpolationMode.BILINEAR,
        )
        torch.testing.assert_close(view, expected, rtol=0, atol=1e-5)  # coordinates are rounded in another order


def test_a_pixel_is_set_to_zero_in_all_channels_with_the_given_probability() -> None:
    torch.manual_seed(0)
    view = RandomView(rotation=0, shift=0, scaling=0, shear=0, corruption=0.3)(torch.ones(50, 3, 20, 20))
    kept = view.round()  # the interpolation leaves errors of rounding
    assert torch.equal(kept[:, 0], kept[:, 1])
    n = kept[:, 0].numel()
    assert abs(kept[:, 0].mean().item() - 0.7) < 4 * math.sqrt(0.3 * 0.7 / n)  # standard errors


def test_each_view_is_made_by_the_given_transform() -> None:
    views = TwoViews([(torch.arange(3.0), 0)], transform=lambda x: x + torch.rand(len(x), 1))
    batch = views.get_batch(torch.tensor([0, 0]))
    for name in ("v1", "v2"):
        shift = batch[name] - batch["x"]
        assert torch.allclose(shift, shift[:, :1])
        assert shift[0, 0] != shift[1, 0]
    assert not torch.equal(batch["v1"], batch["v2"])
    transform: Any = 3
    with pytest.raises(TypeError, match=r"`transform` must be a function .* got 3"):
        TwoViews([], transform)


def test_views_are_in_memory_if_their_data_are() -> None:
    assert is_in_memory(TwoViews(Digits("valid")))
    assert not is_in_memory(TwoViews([(torch.zeros(1, 8, 8), 0)]))


def test_views_of_a_data_set_that_yields_single_examples_equal_those_of_batches() -> None:
    digits = Digits("valid")
    batches: list[dict[str, torch.Tensor]] = []
    for data_set in (digits, [(datum["x"], int(datum["y"])) for datum in map(digits.__getitem__, range(5))]):
        torch.manual_seed(0)
        batches.append(TwoViews(data_set).get_batch(torch.arange(5)))
    assert batches[0].keys() == batches[1].keys()
    for name, value in batches[0].items():
        assert torch.equal(batches[1][name], value)
