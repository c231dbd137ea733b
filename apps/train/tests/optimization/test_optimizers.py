"""Groups of parameters by name pattern, and optimizers that do not fit a trainer."""

from functools import partial
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import nn, optim

from frame_train.errors import CompositionError
from frame_train.optimization.optimizers import check_optimizers, clear_gradients, make_optimizer
from trainers import make_trainer

AdamW = partial(optim.AdamW, lr=1e-3, weight_decay=0.1)


def make_model() -> nn.Module:
    return nn.ModuleDict({"encoder": nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)), "decoder": nn.Linear(1, 2)})


def read_options(optimizer: optim.Optimizer, model: nn.Module) -> dict[str, tuple[float, float]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_a_parameter_takes_the_options_of_every_pattern_that_it_matches() -> None:
    model = make_model()
    optimizer = make_optimizer(AdamW, model, {"encoder.*": {"lr": 1e-4}, "*.bias": {"weight_decay": 0.0}})
    assert read_options(optimizer, model) == {
        "encoder.0.weight": (1e-4, 0.1),
        "encoder.0.bias": (1e-4, 0.0),
        "encoder.1.weight": (1e-4, 0.1),
        "encoder.1.bias": (1e-4, 0.0),
        "decoder.weight": (1e-3, 0.1),
        "decoder.bias": (1e-3, 0.0),
    }


def test_a_later_pattern_replaces_the_options_of_an_earlier_one() -> None:
    model = make_model()
    optimizer = make_optimizer(AdamW, model, {"*": {"lr": 1e-4}, "encoder.1.*": {"lr": 1e-5}})
    options = read_options(optimizer, model)
    assert options["encoder.1.weight"] == (1e-5, 0.1)
    assert options["decoder.weight"] == (1e-4, 0.1)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"encodr.*": {"lr": 1e-4}}, r"no trainable parameter matches 'encodr\.\*'\. Did you mean `encoder\.\*`\?"),
        ({"decoder.wieght": {"lr": 1e-4}}, r"no trainable parameter matches .* Did you mean `decoder\.weight`\?"),
        ({"q": {"lr": 1e-4}}, r"no trainable parameter matches 'q'\. The parameters are `encoder\.0\.weight`, "),
        ({"encoder.*": {"lrr": 1e-4}}, r"`AdamW` has no option `lrr`\. Did you mean `lr`\?"),
    ],
)
def test_a_pattern_or_an_option_that_does_not_exist_is_refused(groups: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_optimizer(AdamW, make_model(), groups)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (optim.LBFGS, {"accumulate_grad_batches": 2}, "`trainer.accumulate_grad_batches` must be 1 for `LBFGS`"),
        (
            partial(optim.Adam, fused=True),
            {"precision": "bf16-mixed", "gradient_clip_val": 1.0},
            "`trainer.gradient_clip_val` must be null for a fused `Adam` in mixed precision, got 1.0",
        ),
    ],
)
def test_an_optimizer_that_does_not_fit_the_trainer_is_refused(
    make: Any, options: dict[str, Any], message: str
) -> None:
    optimizer = make([nn.Parameter(torch.zeros(2))])
    with pytest.raises(CompositionError, match=message):
        check_optimizers([optimizer], LightningModule(), make_trainer(**options))
    check_optimizers([optimizer], LightningModule(), make_trainer())


class HalfSGD(optim.SGD):
    """Keeps half of each gradient."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        for parameter in self.param_groups[0]["params"]:
            parameter.grad *= 0.5


@pytest.mark.parametrize(("make", "expected"), [(optim.SGD, None), (HalfSGD, 0.5)])
def test_gradients_are_cleared_as_the_optimizer_clears_them(make: Any, expected: float | None) -> None:
    weight = nn.Parameter(torch.ones(()))
    weight.sum().backward()
    clear_gradients(LightningOptimizer(make([weight], lr=0.1)))
    assert (None if weight.grad is None else weight.grad.item()) == expected
