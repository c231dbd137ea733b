import numpy as np
import pytest
import torch
from torch import nn

from frame_models import BarlowTwins
from frame_models.two_views.barlow_twins import compute_cross_correlation


def test_the_cross_correlation_is_that_of_numpy() -> None:
    torch.manual_seed(0)
    z_1, z_2 = 5 * torch.randn(2, 9, 3, dtype=torch.float64) + 2
    expected = np.corrcoef(z_1.T.numpy(), z_2.T.numpy())[:3, 3:]  # rows: features of the first view
    # the model adds 1e-5 to variances of about 25
    torch.testing.assert_close(compute_cross_correlation(z_1, z_2).numpy(), expected, atol=2e-6, rtol=0)


def test_the_loss_is_that_of_the_paper_in_loops(encoder: nn.Module) -> None:
    projector = nn.Linear(3, 2)
    model = BarlowTwins(encoder, projector, redundancy_weight=0.1)
    v_1, v_2 = 10 * torch.randn(2, 6, 4)
    quantities = model.compute_loss({"v1": v_1, "v2": v_2}, 0)
    z_1, z_2 = (projector(model.encode(v).mean).detach().double() for v in (v_1, v_2))
    invariance = redundancy = 0.0
    for i in range(2):
        for j in range(2):
            a, b = z_1[:, i] - z_1[:, i].mean(), z_2[:, j] - z_2[:, j].mean()
            correlation = float((a * b).sum() / ((a**2).sum() * (b**2).sum()).sqrt())  # equation 2
            if i == j:
                invariance += (1 - correlation) ** 2
            else:
                redundancy += correlation**2
    # the model adds 1e-5 to variances of about 5
    assert quantities["invariance"].item() == pytest.approx(invariance, rel=1e-3)
    assert quantities["redundancy"].item() == pytest.approx(redundancy, rel=1e-3)
    assert quantities["loss"].item() == pytest.approx(invariance + 0.1 * redundancy, rel=1e-3)


def test_the_loss_does_not_depend_on_the_scale_and_the_location_of_the_embeddings() -> None:
    torch.manual_seed(0)
    z_1, z_2 = torch.randn(2, 50, 3, dtype=torch.float64)
    scaled = compute_cross_correlation(100 * z_1 - 3, 100 * z_2 + 7)
    torch.testing.assert_close(compute_cross_correlation(z_1, z_2), scaled, atol=1e-4, rtol=0)


def test_equal_views_with_uncorrelated_features_have_no_loss() -> None:
    z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    torch.testing.assert_close(compute_cross_correlation(z, z), torch.eye(2), atol=2e-5, rtol=0)


def test_a_constant_feature_has_a_finite_gradient() -> None:
    z = torch.zeros(4, 2, requires_grad=True)
    compute_cross_correlation(z, z).square().sum().backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()
