from typing import Any

import pytest
import torch
from torch.distributions import LogisticNormal, Normal

from frame_architectures import DiagonalNormal, LogitDensity


def test_the_density_is_that_of_a_logit_normal_variable_without_a_margin() -> None:
    density = LogitDensity(DiagonalNormal(4), (1, 2, 2), margin=1e-7)
    x = torch.rand(5, 1, 2, 2) * 0.98 + 0.01
    # of each pixel: with two components, torch's logistic normal is the sigmoid of a normal variable
    pixel = LogisticNormal(torch.zeros(1), torch.ones(1))
    expected = pixel.log_prob(torch.stack([x, 1 - x], -1)).flatten(1).sum(1)
    torch.testing.assert_close(density().log_prob(x), expected, atol=1e-4, rtol=1e-4)


def test_the_density_of_a_number_integrates_to_one() -> None:
    density = LogitDensity(DiagonalNormal(1), (1,), margin=0.05)
    # uniform in the logit of the whole support, which exceeds [0, 1]
    z = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    x = (z.sigmoid() - 0.05) / 0.9
    integral = torch.trapezoid(density().log_prob(x.unsqueeze(1)).exp(), x)
    torch.testing.assert_close(integral, torch.tensor(1.0, dtype=torch.float64), atol=1e-4, rtol=0)


def test_the_density_follows_the_change_of_variables() -> None:
    density = LogitDensity(DiagonalNormal(1), (1,), margin=0.1)
    x = torch.tensor([[0.3], [0.0], [1.0]], dtype=torch.float64, requires_grad=True)
    z = (0.1 + 0.8 * x).logit()
    (slope,) = torch.autograd.grad(z.sum(), [x])
    expected = (Normal(0.0, 1.0).log_prob(z) + slope.log()).squeeze(1)
    torch.testing.assert_close(density().log_prob(x), expected)


def test_samples_have_the_shape_of_the_data() -> None:
    assert LogitDensity(DiagonalNormal(6), (1, 2, 3))().sample(torch.Size([5])).shape == (5, 1, 2, 3)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"x_shape": (2, 0)}, ValueError, "x_shape"),
        ({"x_shape": 4}, TypeError, "x_shape"),
        ({"x_shape": (4,), "margin": 0.0}, ValueError, "`margin` must be between 0 and 0.5, got 0.0"),
        ({"x_shape": (4,), "margin": 0.5}, ValueError, "`margin` must be between 0 and 0.5, got 0.5"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        LogitDensity(DiagonalNormal(4), **options)
