from hashlib import sha256
from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from frame_eval import small_classifier
from frame_eval.small_classifier import FOLDER, load_classifier, load_features

NAMES = sorted(path.stem for path in FOLDER.glob("*.pt"))


def test_the_classifier_of_the_digits_recognizes_digits_that_it_was_not_trained_on() -> None:
    digits = load_digits()
    x, y = torch.tensor(digits.images[1297:] / 16).float().unsqueeze(1), torch.tensor(digits.target[1297:])
    assert (load_classifier("Digits-549ff581")(x).argmax(1) == y).float().mean() > 0.9


@pytest.mark.parametrize(
    ("name", "size"), [("Digits-549ff581", 8), ("FashionMNIST-1c111725", 28), ("MNIST-9e6e0735", 28)]
)
def test_features_are_the_layers_before_the_last(name: str, size: int) -> None:
    x = torch.rand(5, 1, size, size)
    classifier, features = load_classifier(name), load_features(name)
    last = classifier[-1]
    assert isinstance(last, nn.Linear)
    torch.testing.assert_close(last(features(x)), classifier(x))
    assert features(x).shape == (5, last.in_features)
    assert not any(parameter.requires_grad for parameter in classifier.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_weights_take_less_than_a_megabyte_and_a_classifier_is_named_after_their_hash(name: str) -> None:
    weights = (FOLDER / f"{name}.pt").read_bytes()
    assert len(weights) < 2**20
    assert name.rpartition("-")[2] == sha256(weights).hexdigest()[:8]


@pytest.mark.parametrize("n_bytes", [0, 100_000, 205_704])
def test_damaged_weights_are_refused(n_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = (FOLDER / "Digits-549ff581.pt").read_bytes()
    (tmp_path / "Digits-549ff581.pt").write_bytes(weights[:n_bytes] + b"!" + weights[n_bytes + 1 :])
    monkeypatch.setattr(small_classifier, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"`name`: the weights of 'Digits-549ff581' in '.*' are damaged. Install"):
        load_features("Digits-549ff581")


def test_other_weights_than_those_that_a_run_asks_for_are_refused() -> None:
    message = r"`name` must be one of 'Digits-549ff581', .*got 'Digits-549ff582'. Did you mean `Digits-549ff581`"
    with pytest.raises(ValueError, match=message):
        load_features("Digits-549ff582")
