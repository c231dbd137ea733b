import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import affine

from frame_train.data import Digits, TwoViews
from frame_train.data.views import transform_affinely


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


def test_views_without_any_change_equal_the_example() -> None:
    views = TwoViews(Digits("valid"), rotation=0, scaling=0, shear=0, shift=0, corruption=0)
    batch = views.get_batch(torch.arange(10))
    torch.testing.assert_close(batch["v1"], batch["x"])


def test_an_affine_view_is_that_of_torchvision() -> None:
    x = Digits("valid").get_batch(torch.arange(5))["x"]
    degrees = torch.tensor([[0.0, 0.0], [15.0, 0.0], [0.0, 15.0], [-12.0, 9.0], [90.0, -15.0]])
    scale = torch.tensor([1.0, 0.9, 1.1, 0.95, 1.05])
    pixels = torch.tensor([[1, -2], [0, 1], [2, 0], [-1, 1], [2, 1]])
    angles, shears = degrees.deg2rad().unbind(1)
    views = transform_affinely(x, angles, scale, shears, pixels / 8)
    for index, view in enumerate(views):
        (angle, shear), shift = degrees[index].tolist(), pixels[index].tolist()
        expected = affine(x[index], angle, shift, scale[index].item(), [shear, 0.0], InterpolationMode.BILINEAR)
        torch.testing.assert_close(view, expected, rtol=0, atol=1e-5)


def test_views_of_a_data_set_that_yields_single_examples_equal_those_of_batches() -> None:
    digits = Digits("valid")
    batches: list[dict[str, torch.Tensor]] = []
    for data_set in (digits, [(datum["x"], int(datum["y"])) for datum in map(digits.__getitem__, range(5))]):
        torch.manual_seed(0)
        batches.append(TwoViews(data_set).get_batch(torch.arange(5)))
    assert batches[0].keys() == batches[1].keys()
    for name, value in batches[0].items():
        assert torch.equal(batches[1][name], value)
