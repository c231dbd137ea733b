"""Contract of the methods that compare the embeddings of two views."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frame_models import BarlowTwins, SimCLR, VICReg

WEIGHTS = [
    (BarlowTwins, "redundancy_weight"),
    (SimCLR, "temperature"),
    (VICReg, "covariance_weight"),
    (VICReg, "invariance_weight"),
    (VICReg, "variance_weight"),
]
each_method = pytest.mark.parametrize("method", [BarlowTwins, SimCLR, VICReg])


@each_method
def test_training_keeps_what_two_views_share(method: Any, encoder: nn.Module) -> None:
    model = method(encoder, nn.Identity())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(150):
        shared, noise_1, noise_2 = torch.randn(3, 64, 2)
        optimizer.zero_grad()
        views = {"v1": torch.cat([shared, noise_1], 1), "v2": torch.cat([shared, noise_2], 1)}
        model.compute_loss(views, step)["loss"].backward()
        optimizer.step()
    weight, _ = encoder.parameters()
    assert weight[:, 2:].norm() < 0.2 * weight[:, :2].norm()


@each_method
@pytest.mark.parametrize(
    ("batch", "projector", "message"),
    [
        ({"v1": torch.rand(1, 4), "v2": torch.rand(1, 4)}, nn.Identity(), "The batch needs at least 2 examples"),
        ({"v1": torch.rand(5, 4), "v2": torch.rand(5, 3)}, nn.Identity(), r"same shape, got \(5, 4\) and \(5, 3\)"),
        ({"v1": torch.rand(5, 4), "v2": torch.rand(5, 4)}, nn.Flatten(0), r"`projector` must .* got \(30,\)"),
        ({"x": torch.rand(5, 4)}, nn.Identity(), "The batch has no `v1`; it has `x`"),
    ],
    ids=["one example", "two shapes", "no vectors", "no views"],
)
def test_a_wrong_batch_or_projector_is_refused(
    method: Any, batch: dict[str, Tensor], projector: nn.Module, message: str, encoder: nn.Module
) -> None:
    with pytest.raises(ValueError, match=message):
        method(encoder, projector).compute_loss(batch, 0)


@pytest.mark.parametrize(("method", "name"), WEIGHTS, ids=[name for _, name in WEIGHTS])
@pytest.mark.parametrize(("weight", "error"), [(0.0, ValueError), (-1.0, ValueError), ("0.5", TypeError)])
def test_a_bad_weight_is_refused(
    method: Any, name: str, weight: Any, error: type[Exception], encoder: nn.Module
) -> None:
    with pytest.raises(error, match=f"`{name}` must be"):
        method(encoder, nn.Identity(), **{name: weight})
