import torch
from torch.distributions import Normal as TorchNormal
from torch.distributions import kl_divergence

from frame_architectures.normal import Normal


def test_density_and_its_gradient_are_those_of_torch() -> None:
    x, loc, scale = torch.randn(3, 7, 5), torch.randn(7, 5, requires_grad=True), torch.rand(7, 5) + 0.1
    scale.requires_grad_()
    ours, theirs = Normal(loc, scale).log_prob(x), TorchNormal(loc, scale).log_prob(x)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(
        torch.autograd.grad(ours.sum(), (loc, scale)), torch.autograd.grad(theirs.sum(), (loc, scale))
    )


def test_density_of_a_tiny_scale_is_finite() -> None:
    scale = torch.tensor(1e-30)  # its square is zero in single precision
    assert Normal(torch.tensor(0.0), scale).log_prob(torch.tensor(0.0)).isfinite()


def test_divergence_is_that_of_torch() -> None:
    parameters = torch.randn(4), torch.rand(4) + 0.1, torch.randn(4), torch.rand(4) + 0.1
    ours = kl_divergence(Normal(*parameters[:2]), Normal(*parameters[2:]))
    torch.testing.assert_close(ours, kl_divergence(TorchNormal(*parameters[:2]), TorchNormal(*parameters[2:])))
