import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution
from torch.nn.functional import cross_entropy

from frame_models import Classifier


class Predictor(nn.Module):
    def __init__(self, n_inputs: int, n_labels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_inputs, n_labels)

    def forward(self, x: Tensor) -> Distribution:
        return Categorical(logits=self.linear(x))


class LabelForEachNumber(nn.Module):
    def forward(self, x: Tensor) -> Distribution:
        return Categorical(logits=x.unsqueeze(-1).expand(*x.shape, 3))


def test_the_loss_is_the_cross_entropy() -> None:
    model, x, y = Classifier(Predictor(4, 3)), torch.randn(8, 4), torch.arange(8) % 3
    quantities = model.compute_loss({"x": x, "y": y}, 0)
    assert list(quantities) == ["loss"]
    torch.testing.assert_close(quantities["loss"], cross_entropy(model.predictor.get_submodule("linear")(x), y))


def test_labels_are_classified_by_the_predictor_for_any_number_of_samples() -> None:
    model, x = Classifier(Predictor(4, 3)), torch.randn(8, 4)
    expected = model.predictor.get_submodule("linear")(x).softmax(-1)
    for n_samples in (1, 5):
        p_y = model.classify({"x": x}, n_samples)
        assert isinstance(p_y, Categorical)
        torch.testing.assert_close(p_y.probs, expected)


def test_a_predictor_whose_shape_does_not_match_the_labels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`predictor` must .* batch shape \(8,\) and event shape \(\), got \(8, 4\)"):
        Classifier(LabelForEachNumber()).compute_loss({"x": torch.randn(8, 4), "y": torch.zeros(8).long()}, 0)


def test_labels_with_an_extra_dimension_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`predictor` must .* batch shape \(8, 1\)"):
        Classifier(Predictor(4, 3)).compute_loss({"x": torch.randn(8, 4), "y": torch.zeros(8, 1).long()}, 0)
