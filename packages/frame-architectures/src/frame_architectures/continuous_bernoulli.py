"""Continuous Bernoulli distribution in terms of its logits."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.nn.functional import relu

_NEAR_ZERO = 0.05
"""Logits of a smaller magnitude use a power series, because the formulas subtract large numbers there."""


class ContinuousBernoulli(Distribution):
    """Distribution over [0, 1] with the density exp(l x - A(l)), where l is the logit and A(l) = log((exp(l) - 1) / l).

    `torch.distributions.ContinuousBernoulli` computes with probabilities. In single precision, they round to 0 or 1 for
    logits beyond -16 and 16. This class is accurate for all logits.

    Args:
        logits: Tensor of shape (\\*batch,); log(probs / (1 - probs)) of torch's distribution.

    References:
        The continuous Bernoulli: fixing a pervasive error in variational autoencoders
        (Loaiza-Ganem & Cunningham, 2019), https://arxiv.org/abs/1907.06845

    >>> ContinuousBernoulli(torch.tensor(-40.0)).log_prob(torch.tensor(0.0))  # log 40
    tensor(3.6889)
    """

    has_rsample = True

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        self._is_near_zero = logits.abs() < _NEAR_ZERO
        self._far = torch.where(self._is_near_zero, 1.0, logits)  # keeps the gradient finite where it is not used
        super().__init__(logits.shape, validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        return {"logits": constraints.real}

    @property
    def support(self) -> constraints.Constraint:
        return constraints.unit_interval

    @property
    def mean(self) -> Tensor:
        near = 1 / 2 + self.logits / 12 - self.logits**3 / 720
        far = -1 / torch.expm1(-self._far) - 1 / self._far
        return torch.where(self._is_near_zero, near, far)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with torch.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        u = torch.rand(
            self._extended_shape(torch.Size(sample_shape)), dtype=self.logits.dtype, device=self.logits.device
        )
        near = u + u * (1 - u) * (self.logits / 2 + (1 - 2 * u) * self.logits**2 / 6)
        # The quantile of the mirror image with a logit below zero, for which exp cannot overflow.
        size = self._far.abs()
        mirrored = -torch.log1p(u * torch.expm1(-size)) / size
        far = torch.where(self._far < 0, mirrored, 1 - mirrored)
        return torch.where(self._is_near_zero, near, far)

    def log_prob(self, value: Tensor) -> Tensor:
        size = self._far.abs()
        near = self.logits / 2 + self.logits**2 / 24 - self.logits**4 / 2880
        far = relu(self._far) + torch.log(-torch.expm1(-size) / size)
        return self.logits * value - torch.where(self._is_near_zero, near, far)
