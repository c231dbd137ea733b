"""Logistic distribution over equidistant values."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.nn.functional import logsigmoid


class DiscretizedLogistic(Distribution):
    """Logistic distribution rounded to the values 0, 1/(n_levels - 1), ..., 1, such as those of 8-bit images.

    A value has the mass of the logistic distribution nearest to it. The two ends have the mass of the tails, too.

    Args:
        location: Tensor of shape (\\*batch,).
        scale: Positive tensor of the same shape.
        n_levels: Number of values.

    References:
        Improving Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016),
        https://arxiv.org/abs/1606.04934

    >>> DiscretizedLogistic(torch.tensor(0.3), torch.tensor(0.1), n_levels=2).log_prob(torch.tensor(0.0)).exp()
    tensor(0.8808)
    """

    def __init__(self, location: Tensor, scale: Tensor, n_levels: int = 256) -> None:
        self.location = location
        self.scale = scale
        self.n_levels = n_levels
        super().__init__(location.shape, validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        return {"location": constraints.real, "scale": constraints.positive}

    @property
    def support(self) -> constraints.Constraint:
        return constraints.unit_interval

    @property
    def mean(self) -> Tensor:
        total = torch.zeros_like(self.location)
        for level in range(1, self.n_levels):  # the mean is the sum of P(value >= level)
            total += ((self.location - (level - 0.5) / (self.n_levels - 1)) / self.scale).sigmoid()
        return total / (self.n_levels - 1)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with torch.no_grad():
            shape = self._extended_shape(torch.Size(sample_shape))
            u = torch.rand(shape, dtype=self.location.dtype, device=self.location.device)
            tiny = torch.finfo(u.dtype).eps
            value = self.location + self.scale * u.clamp(tiny, 1 - tiny).logit()
            return (value * (self.n_levels - 1)).round().clamp(0, self.n_levels - 1) / (self.n_levels - 1)

    def log_prob(self, value: Tensor) -> Tensor:
        half = 0.5 / (self.n_levels - 1)
        upper, lower = ((value + sign * half - self.location) / self.scale for sign in (1, -1))
        # log(sigmoid(upper) - sigmoid(lower)), without a difference of large numbers
        width = 2 * half / self.scale
        inside = logsigmoid(upper) + logsigmoid(-lower) + torch.log(-torch.expm1(-width))
        at_ends = torch.where(value < half, logsigmoid(upper), logsigmoid(-lower))
        return torch.where((value < half) | (value > 1 - half), at_ends, inside)
