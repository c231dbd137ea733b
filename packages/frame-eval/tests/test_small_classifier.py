import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from frame_eval.small_classifier import FOLDER, compute_hash, load_classifier, load_features

NAMES = sorted(path.stem for path in FOLDER.glob("*.pt"))


def test_the_classifier_of_the_digits_recognizes_digits_that_it_was_not_trained_on() -> None:
    digits = load_digits()
    x, y = torch.tensor(digits.images[1297:] / 16).float().unsqueeze(1), torch.tensor(digits.target[1297:])
    assert (load_classifier("Digits")(x).argmax(1) == y).float().mean() > 0.9


@pytest.mark.parametrize(("name", "size"), [("Digits", 8), ("MNIST", 28)])
def test_features_are_the_layers_before_the_last(name: str, size: int) -> None:
    x = torch.rand(5, 1, size, size)
    classifier, features = load_classifier(name), load_features(name)
    last = classifier[-1]
    assert isinstance(last, nn.Linear)
    torch.testing.assert_close(last(features(x)), classifier(x))
    assert features(x).shape == (5, last.in_features)
    assert not any(parameter.requires_grad for parameter in classifier.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_weights_take_less_than_a_megabyte(name: str) -> None:
    assert (FOLDER / f"{name}.pt").stat().st_size < 2**20
    assert len(compute_hash(name)) == 8


def test_an_unknown_classifier_is_refused_and_the_others_are_listed() -> None:
    with pytest.raises(
        ValueError, match=r"`name` must be one of 'Digits', 'MNIST'.*got 'digits'. Did you mean `Digits`"
    ):
        load_features("digits")
