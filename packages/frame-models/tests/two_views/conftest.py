import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from frame_core import Delta


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Distribution:
        return Delta(self.linear(x), 1)


@pytest.fixture
def encoder() -> Encoder:
    """A linear encoder of vectors with four elements, in three dimensions."""
    torch.manual_seed(0)
    return Encoder()
