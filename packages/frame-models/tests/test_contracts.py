"""Every model of the package, held to the contract of its interface."""

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

import frame_models
from frame_core import Model
from frame_core.testing import check_model
from frame_models import VariationalAutoencoder

X_SHAPE = (1, 4, 5)


class Gaussian(nn.Module):
    """Small, with batch-dependent behaviour in neither mode."""

    def __init__(self, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.n_in_dims, self.out_shape = len(in_shape), out_shape
        self.linear = nn.Linear(torch.Size(in_shape).numel(), torch.Size(out_shape).numel())

    def forward(self, condition: Tensor) -> Distribution:
        mean = self.linear(condition.flatten(-self.n_in_dims)).unflatten(-1, self.out_shape)
        return Independent(Normal(mean, 1.0), len(self.out_shape))


class TrainablePrior(nn.Module):
    def __init__(self, z_dim: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.ones(z_dim))

    def forward(self) -> Distribution:
        return Independent(Normal(self.mean, 1.0), 1)


MODELS: dict[str, Model] = {
    "VariationalAutoencoder": VariationalAutoencoder(
        Gaussian(X_SHAPE, (2,)), Gaussian((2,), X_SHAPE), TrainablePrior(2), beta=0.5
    ),
}


@pytest.mark.parametrize("name", frame_models.__all__)
def test_model_keeps_the_contract(name: str) -> None:
    model = MODELS[name]
    assert type(model) is getattr(frame_models, name)
    check_model(model, {"x": torch.rand(5, *X_SHAPE), "y": torch.arange(5)})
