import numpy as np
import pytest
import torch
from torch import nn

from frame_models import VICReg
from frame_models.two_views.vicreg import compute_covariance_loss, compute_variance_loss


def test_the_loss_is_that_of_the_paper_with_numpy(encoder: nn.Module) -> None:
    projector = nn.Linear(3, 2)
    model = VICReg(encoder, projector, invariance_weight=5.0, variance_weight=3.0, covariance_weight=2.0)
    v_1, v_2 = torch.randn(2, 6, 4)
    quantities = model.compute_loss({"v1": v_1, "v2": v_2}, 0)
    z_1, z_2 = (projector(model.encode(v).mean).detach().double().numpy() for v in (v_1, v_2))
    n, d = z_1.shape
    invariance = sum(np.linalg.norm(a - b) ** 2 for a, b in zip(z_1, z_2)) / (n * d)
    deviations = [np.sqrt(z.var(0, ddof=1) + 1e-4) for z in (z_1, z_2)]  # equation 2
    variance = np.mean([max(0.0, 1 - s) for s in np.concatenate(deviations)])
    covariance = sum(np.cov(z.T)[i, j] ** 2 for z in (z_1, z_2) for i in range(d) for j in range(d) if i != j) / d
    assert quantities["invariance"].item() == pytest.approx(invariance, rel=1e-5)
    assert quantities["variance"].item() == pytest.approx(variance, rel=1e-5)
    assert quantities["covariance"].item() == pytest.approx(covariance, rel=1e-4)
    assert quantities["loss"].item() == pytest.approx(5 * invariance + 3 * variance + 2 * covariance, rel=1e-5)


def test_features_of_a_deviation_above_one_have_no_variance_loss() -> None:
    torch.manual_seed(0)
    z = torch.randn(100, 3)
    z = z / z.std(0)
    torch.testing.assert_close(compute_variance_loss(1.01 * z), torch.tensor(0.0))
    torch.testing.assert_close(compute_variance_loss(0.5 * z), torch.tensor(0.5), atol=2e-4, rtol=0)


def test_uncorrelated_features_have_no_covariance_loss() -> None:
    z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    torch.testing.assert_close(compute_covariance_loss(z), torch.tensor(0.0))
    # with equal features, all covariances are the variance 4/3
    torch.testing.assert_close(compute_covariance_loss(z[:, [0, 0, 0]]), torch.tensor(6 * (4 / 3) ** 2 / 3))


def test_a_constant_feature_has_a_finite_gradient() -> None:
    z = torch.zeros(4, 2, requires_grad=True)
    compute_variance_loss(z).backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()
