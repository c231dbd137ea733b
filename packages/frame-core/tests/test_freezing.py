from copy import deepcopy

import pytest
import torch
from torch import nn

from frame_core import freeze


def test_a_frozen_part_remains_in_eval_mode_without_gradient_whatever_the_model_does() -> None:
    part = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout())
    assert freeze(part) is part
    model = nn.Sequential(nn.Linear(2, 2), part, nn.Dropout())
    for mode in (model.train, model.eval, model.train):
        mode()
        assert not any(module.training for module in part.modules())
    assert model[2].training
    before = deepcopy(part.state_dict())
    model(torch.randn(4, 2)).sum().backward()
    assert all(parameter.grad is None for parameter in part.parameters())
    assert model[0].weight.grad is not None  # the gradient passes through the part
    torch.testing.assert_close(part.state_dict(), before)


def test_a_copy_of_a_frozen_part_is_frozen_itself() -> None:
    part = freeze(nn.Linear(2, 2))
    copy = deepcopy(part)
    assert copy.train() is copy
    assert not copy.training
    assert not copy.weight.requires_grad


def test_only_a_module_can_be_frozen() -> None:
    with pytest.raises(TypeError, match="`module` must be a torch module, got 1"):
        freeze(1)
