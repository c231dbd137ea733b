"""Density estimation by maximum likelihood."""

from collections.abc import Mapping
from math import log

import torch
from torch import Tensor, nn

from frame_core import GenerativeModel, ImportanceSamplingModel, check_count, check_shapes, get_tensor


class DensityEstimator(GenerativeModel, ImportanceSamplingModel):
    """Density of the data, such as a normalizing flow, fitted by maximum likelihood.

    For continuous data, the loss is -log p(x). Discrete data, such as pixels of 256 levels, are dequantized: with
    x = k / (n_levels - 1) and u uniform in [0, 1), the density of v = (k + u) / n_levels is fitted. Then
    log p(v) - D log n_levels, for D dimensions, is on average a lower bound on the log-probability of x.

    Args:
        density: Marginal p(x), or p(v) for discrete data, an event of shape (\\*x_shape,) with a density.
        n_levels: Number of levels of discrete data, whose values are multiples of 1 / (n_levels - 1) in [0, 1]. None
            means continuous data.

    Raises:
        TypeError: ``n_levels`` is not an integer.
        ValueError: ``n_levels`` is less than two.

    References:
        A note on the evaluation of generative models (Theis et al., 2016), https://arxiv.org/abs/1511.01844, the source
        of the bound

        Masked Autoregressive Flow for Density Estimation (Papamakarios et al., 2017), https://arxiv.org/abs/1705.07057
    """

    def __init__(self, density: nn.Module, n_levels: int | None = None) -> None:
        super().__init__()
        self.density = density
        self.n_levels = None if n_levels is None else check_count("n_levels", n_levels, minimum=2)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the negative log-likelihood of a batch with ``data["x"]``, in nats, or its upper bound.

        Returns:
            ``loss``, and for discrete data the same number as ``bits_per_dimension``.

        Raises:
            ValueError: The batch has no ``x``, or the shape of the density does not match the data.
        """
        x = get_tensor(data, "x")
        loss = -self.compute_log_weights(data, n_samples=1).mean()
        if self.n_levels is None:
            return {"loss": loss}
        return {"loss": loss, "bits_per_dimension": loss.detach() / (x[0].numel() * log(2))}

    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        """Compute log p(v) - D log n_levels for samples of u, or log p(x) of continuous data, repeated."""
        x = get_tensor(data, "x")
        density = self.density()
        check_shapes("density", density, torch.Size([]), x.shape[1:])
        if self.n_levels is None:
            return density.log_prob(x).expand(n_samples, -1)
        v = self._dequantize(x.expand(n_samples, *x.shape))
        log_prob = density.log_prob(v.flatten(0, 1)).unflatten(0, v.shape[:2])
        return log_prob - x[0].numel() * log(self.n_levels)

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        """Sample the density, and round discrete data down to their level. There is no output distribution."""
        v = self.density().sample(sample_shape)
        if self.n_levels is None:
            return v
        return (v * self.n_levels).floor().clamp(0, self.n_levels - 1) / (self.n_levels - 1)

    def _dequantize(self, x: Tensor) -> Tensor:
        assert self.n_levels is not None  # the caller checks
        levels = (x * (self.n_levels - 1)).round()
        return (levels + torch.rand_like(levels)) / self.n_levels
