from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.utils.data import default_collate
from torchvision.transforms import v2

from frame_core import SizedDataset
from frame_core.testing import TinyModel, make_tiny_data
from frame_train.data.augmentation import RandomShift, augment
from trainers import fit, ignore_lightning_warnings, make_tiny_optimization, make_tiny_split

pytestmark = ignore_lightning_warnings
SHIFTS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]


def shift(image: Tensor, down: int, right: int) -> Tensor:
    return pad(image, [1 + right, 1 - right, 1 + down, 1 - down])[..., 1:-1, 1:-1]


def test_images_are_shifted_independently_and_uniformly() -> None:
    torch.manual_seed(0)
    x = torch.rand(900, 2, 5, 7)
    counts = Counter(
        next(offset for offset in SHIFTS if torch.equal(shift(before, *offset), after))
        for before, after in zip(x, RandomShift(1)(x), strict=True)
    )
    assert all(abs(counts[offset] - 100) < 40 for offset in SHIFTS)  # four standard errors


def test_a_shift_by_zero_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="`n_pixels` must be positive, got 0"):
        RandomShift(0)


class Recording(TinyModel):
    """A tiny model that records the images of its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        self.seen.append(data["x"].clone())
        return super().compute_loss(data, data_idx)


def record(augmentation: Any, data: SizedDataset | None = None) -> Tensor:
    """Train two epochs of 24 images, and return the images that the model received."""
    model = Recording()
    arguments = {"data": {"train": data or make_tiny_split(24)}, "batch_size": 8, "augmentation": augmentation}
    fit(partial(make_tiny_optimization, model, **arguments), max_epochs=2)
    return torch.cat(model.seen)


def test_augmentation_differs_between_epochs_and_is_equal_in_every_run() -> None:
    plain, shifted = record(None), record(RandomShift(1))
    assert not torch.equal(plain, shifted)
    shifts = [
        next(offset for offset in SHIFTS if torch.equal(shift(before, *offset), after))
        for before, after in zip(plain, shifted)
    ]
    assert len(set(shifts[:24])) > 1
    assert shifts[:24] != shifts[24:]
    assert torch.equal(record(RandomShift(1)), shifted)
    assert torch.equal(record(RandomShift(1), data=make_tiny_data(24)), shifted)


def test_a_transform_of_torchvision_is_accepted() -> None:
    augmentation = v2.Compose([v2.RandomHorizontalFlip(p=1.0), v2.RandomCrop(4, padding=1)])
    torch.testing.assert_close(record(v2.RandomHorizontalFlip(p=1.0)), record(None).flip(-1))
    assert torch.equal(record(augmentation), record(augmentation))


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        (lambda x: x[:1], r"as many images as it receives, \(2, 1, 4, 4\), got \(1, 1, 4, 4\)"),
        (lambda x: None, r"as many images as it receives, \(2, 1, 4, 4\), got NoneType"),
    ],
)
def test_an_augmentation_that_does_not_return_images_is_refused(
    augmentation: Callable[[Tensor], Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        augment(default_collate(make_tiny_data(2)), augmentation)
    with pytest.raises(ValueError, match="The batch has no `x`; it has `z`"):
        augment({"z": torch.zeros(2)}, augmentation)


def test_an_augmentation_of_data_with_views_is_refused() -> None:
    x = torch.rand(2, 1, 4, 4)
    with pytest.raises(ValueError, match="changes only `x`, but the data also have 'v1', 'v2'"):
        augment({"x": x, "v1": x.clone(), "v2": x.clone(), "y": torch.zeros(2)}, RandomShift(1))


def test_texts_and_lists_are_not_augmented() -> None:
    batch = {"x": torch.ones(2, 1, 4, 4), "text": ["a", "b"], "boxes": [[1.0], []]}
    augment(batch, torch.neg)
    assert torch.equal(batch["x"], -torch.ones(2, 1, 4, 4))
    assert (batch["text"], batch["boxes"]) == (["a", "b"], [[1.0], []])


def test_an_augmentation_that_is_not_callable_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"`augmentation` must be a function of a batch of images, .* got \{'n_pixels': 2\}"
    ):
        record({"n_pixels": 2})


class Halves(nn.Module):
    """Returns half of the batch."""

    def forward(self, x: Tensor) -> Tensor:
        return x[: len(x) // 2]


SHIFT = "optimization.augmentation={_target_: frame_train.data.RandomShift, n_pixels: 2}"


def test_a_run_with_an_augmentation_trains(train: Any) -> None:
    result = train("+experiment=DIGITS_VAE", "logging=none", "trainer.max_steps=2", SHIFT)
    assert result.code == 0, result


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "optimization.augmentation={_target_: torch.nn.Linear, in_features: 3, out_features: 3}",
            "for an input of shape (2, 1",
        ),
        ("optimization.augmentation={n_pixels: 2}", "must be a component"),
        (SHIFT.replace("n_pixels", "pixels"), "pixels"),
    ],
)
def test_check_reports_an_augmentation_that_does_not_fit(train: Any, override: str, message: str) -> None:
    result = train("--check", "+experiment=DIGITS_VAE", "logging=none", override)
    assert result.code == 2
    assert "optimization.augmentation" in result.errors + result.output
    assert message in result.errors + result.output


def test_check_accepts_an_augmentation_that_fits(train: Any) -> None:
    assert train("--check", "+experiment=DIGITS_VAE", "logging=none", SHIFT).code == 0
