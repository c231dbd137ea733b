from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from frame_core import JointModel, Model
from frame_core.testing import TinyModel, check_model, make_tiny_data


class Distance(Model):
    """Loses half the squared distance of a parameter, which may be shared, from a target."""

    def __init__(self, parameter: nn.Parameter, target: float) -> None:
        super().__init__()
        self.parameter = parameter
        self.target = target

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"loss": (self.parameter - self.target).square() / 2}


def make_joint(**options: object) -> JointModel:
    parameter = nn.Parameter(torch.tensor(1.0))
    return JointModel({"low": Distance(parameter, 0.0), "high": Distance(parameter, 5.0)}, **options)


@pytest.mark.parametrize(
    ("weights", "loss", "gradient"),
    [
        (None, 0.5 + 8.0, 1.0 - 4.0),
        ({"high": 0.25}, 0.5 + 2.0, 1.0 - 1.0),
        ({"low": 3.0, "high": 2.0}, 1.5 + 16.0, 3.0 - 8.0),
    ],
)
def test_the_loss_is_the_weighted_sum_of_the_losses(
    weights: dict[str, float] | None, loss: float, gradient: float
) -> None:
    joint = make_joint(weights=weights)
    quantities = joint.compute_loss({}, 0)
    quantities["loss"].backward()
    assert quantities["loss"].item() == loss
    assert (quantities["low_loss"].item(), quantities["high_loss"].item()) == (0.5, 8.0)  # without their weights
    assert joint.models["low"].parameter.grad.item() == gradient  # of the shared parameter


def test_weights_are_not_in_the_state_dict() -> None:
    assert make_joint(weights={"low": 2.0}).state_dict().keys() == make_joint().state_dict().keys()


def test_a_joint_model_with_weights_keeps_the_contract_of_models() -> None:
    check_model(JointModel({"a": TinyModel(), "b": TinyModel()}, {"b": 0.5}), default_collate(make_tiny_data()))


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ({"hig": 1.0}, ValueError, "`weights` must be one of 'low', 'high', got 'hig'. Did you mean `high`?"),
        ({"low": 0.0}, ValueError, "`weights.low` must be positive and finite, got 0.0"),
        ({"low": float("nan")}, ValueError, "`weights.low` must be positive and finite, got nan"),
        ({"low": "1"}, TypeError, "`weights.low` must be a number, got '1'"),
    ],
)
def test_wrong_weights_are_rejected(weights: dict[str, float], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message.replace("?", r"\?")):
        make_joint(weights=weights)


def test_a_single_model_is_rejected() -> None:
    with pytest.raises(ValueError, match="`models` must be two or more, got \\['one'\\]"):
        JointModel({"one": TinyModel()})
