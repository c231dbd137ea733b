from math import log, pi, sqrt

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal, TransformedDistribution
from torch.distributions.transforms import ExpTransform
from torch.nn.functional import mse_loss

from frame_core import Delta
from frame_models import Autoencoder

X_DIM = 4


class Point(nn.Module):
    """A linear map, without noise."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone())

    def forward(self, condition: Tensor) -> Distribution:
        return Delta(condition @ self.weight.T, 1)


class UnitNoise(Point):
    """The same linear map, with noise of variance one."""

    def forward(self, condition: Tensor) -> Distribution:
        return Independent(Normal(condition @ self.weight.T, 1.0), 1)


class Elementwise(Point):
    def forward(self, condition: Tensor) -> Distribution:
        return Normal(condition @ self.weight.T, 1.0)


class Meanless(nn.Module):
    def forward(self, x: Tensor) -> Distribution:
        return TransformedDistribution(Independent(Normal(x[:, :2], 1.0), 1), [ExpTransform()])


ENCODER, DECODER = torch.randn(2, X_DIM), torch.randn(X_DIM, 2)


@pytest.mark.parametrize("encoder", [Point, UnitNoise])
def test_the_loss_of_unit_noise_is_half_the_squared_error(encoder: type[Point]) -> None:
    model, x = Autoencoder(encoder(ENCODER), UnitNoise(DECODER)), torch.randn(6, X_DIM)
    squared_error = X_DIM * mse_loss(x @ ENCODER.T @ DECODER.T, x)
    quantities = model.compute_loss({"x": x}, 0)
    assert list(quantities) == ["loss"]
    torch.testing.assert_close(quantities["loss"], squared_error / 2 + X_DIM / 2 * log(2 * pi))


def test_principal_components_leave_a_linear_autoencoder_nothing_to_learn() -> None:
    x = (torch.randn(50, X_DIM) * torch.tensor([3.0, 2.0, 1.0, 0.5])).double()
    components = torch.linalg.svd(x, full_matrices=False).Vh[:2]
    model = Autoencoder(Point(components), UnitNoise(components.T))
    loss = model.compute_loss({"x": x}, 0)["loss"]
    loss.backward()
    for parameter in model.parameters():
        torch.testing.assert_close(parameter.grad, torch.zeros_like(parameter))
    rest = torch.linalg.svdvals(x)[2:].square().sum() / 50  # the variance that two components leave (Eckart & Young)
    torch.testing.assert_close(loss.detach(), rest / 2 + X_DIM / 2 * log(2 * pi))


def test_encode_and_decode_return_the_distributions_of_the_parts() -> None:
    model, x = Autoencoder(Point(ENCODER), UnitNoise(DECODER)), torch.randn(6, X_DIM)
    torch.testing.assert_close(model.encode(x).mean, x @ ENCODER.T)
    torch.testing.assert_close(model.decode(x[:, :2]).mean, x[:, :2] @ DECODER.T)
    torch.testing.assert_close(model.reconstruct({"x": x}), x @ ENCODER.T @ DECODER.T)


@pytest.mark.parametrize(
    ("sample_latents", "sample_output", "from_latents", "from_output"),
    [(False, False, 0, 0), (True, False, 1, 0), (False, True, 0, 1), (True, True, 1, 1)],
)
def test_reconstruction_varies_with_what_is_sampled(
    sample_latents: bool, sample_output: bool, from_latents: int, from_output: int
) -> None:
    torch.manual_seed(0)
    model, n_data = Autoencoder(UnitNoise(ENCODER), UnitNoise(DECODER)), 100_000
    x = torch.randn(1, X_DIM).expand(n_data, X_DIM)
    reconstructions = model.reconstruct({"x": x}, sample_latents=sample_latents, sample_output=sample_output).detach()
    expected = from_latents * (DECODER @ DECODER.T).diagonal() + from_output
    standard_error = expected * sqrt(2 / n_data)  # of the variance of normal samples
    assert ((reconstructions.var(dim=0) - expected).abs() <= 4 * standard_error + 1e-6).all()


def test_an_encoder_without_a_mean_is_refused() -> None:
    with pytest.raises(TypeError, match="`encoder` must return a distribution that has a mean, got TransformedDist"):
        Autoencoder(Meanless(), UnitNoise(DECODER)).compute_loss({"x": torch.randn(6, X_DIM)}, 0)


def test_a_decoder_that_would_broadcast_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`decoder` must .* event shape \(4,\), got \(6, 4\) and \(\); .*Independent"):
        Autoencoder(Point(ENCODER), Elementwise(DECODER)).compute_loss({"x": torch.randn(6, X_DIM)}, 0)
