"""Densities in the plane."""

import math

import torch
from torch import Tensor

from frame_core import check_count
from frame_train.data.in_memory import InMemoryDataset
from frame_train.data.synthetic import SyntheticDataset


class EightGaussians(InMemoryDataset):
    """Points of eight Gaussians of variance 0.1, whose means are spread evenly over a circle of radius 5.

    ``x`` has shape (2,); ``y`` is the Gaussian, from 0 to 7.

    Args:
        n_data: Number of points.
        seed: Seed of the points.

    Raises:
        TypeError: ``n_data`` is not an integer.
        ValueError: ``n_data`` is not positive.
    """

    def __init__(self, n_data: int, seed: int = 0) -> None:
        generator = _make_generator(n_data, seed)
        y = torch.randint(8, (n_data,), generator=generator)
        angle = y * math.pi / 4
        x = 5 * torch.stack([angle.cos(), angle.sin()], dim=1) + 0.1**0.5 * torch.randn(n_data, 2, generator=generator)
        super().__init__({"x": x, "y": y})

    @staticmethod
    def compute_log_prob(x: Tensor) -> Tensor:
        """Compute the log density of points (\\*batch, 2), in nats."""
        angle = torch.arange(8, dtype=x.dtype, device=x.device) * math.pi / 4
        square = (x.unsqueeze(-2) - 5 * torch.stack([angle.cos(), angle.sin()], dim=1)).square().sum(-1)
        return (-square / 0.2).logsumexp(-1) - math.log(8 * 2 * math.pi * 0.1)

    @classmethod
    def synthesize(cls, n_data: int, seed: int = 0) -> SyntheticDataset:
        """Return as many synthetic examples of the same form."""
        return SyntheticDataset(n_data, x_shape=(2,), n_labels=8)


class Moons(InMemoryDataset):
    """Points of two interleaved half circles of radius 3, with Gaussian noise of standard deviation 0.6.

    They are 3 times the points of scikit-learn's ``make_moons(noise=0.2)``, minus 1. ``x`` has shape (2,); ``y`` is the
    half circle, 0 or 1.

    Args:
        n_data: Number of points.
        seed: Seed of the points.

    Raises:
        TypeError: ``n_data`` is not an integer.
        ValueError: ``n_data`` is not positive.
    """

    def __init__(self, n_data: int, seed: int = 0) -> None:
        generator = _make_generator(n_data, seed)
        y = torch.randint(2, (n_data,), generator=generator)
        angle = math.pi * torch.rand(n_data, generator=generator)
        upper = torch.stack([angle.cos(), angle.sin()], dim=1)
        lower = torch.tensor([1.0, 0.5]) - upper
        noise = 0.2 * torch.randn(n_data, 2, generator=generator)
        super().__init__({"x": 3 * (torch.where(y.view(-1, 1) == 0, upper, lower) + noise) - 1, "y": y})

    @staticmethod
    def compute_log_prob(x: Tensor) -> Tensor:
        """Compute the log density of points (batch, 2), in nats, by the midpoint rule over 500 angles."""
        angle = (torch.arange(500, dtype=x.dtype, device=x.device) + 0.5) * math.pi / 500
        upper = torch.stack([angle.cos(), angle.sin()], dim=1)
        centers = 3 * torch.cat([upper, x.new_tensor([1.0, 0.5]) - upper]) - 1
        square = torch.cdist(x, centers, compute_mode="donot_use_mm_for_euclid_dist").square()
        return (-square / (2 * 0.6**2)).logsumexp(-1) - math.log(1000 * 2 * math.pi * 0.6**2)

    @classmethod
    def synthesize(cls, n_data: int, seed: int = 0) -> SyntheticDataset:
        """Return as many synthetic examples of the same form."""
        return SyntheticDataset(n_data, x_shape=(2,), n_labels=2)


class Checkerboard(InMemoryDataset):
    """Points spread evenly over the eight dark squares of a board of 4×4 squares, from -4 to 4 in both directions.

    ``x`` has shape (2,); ``y`` is the square, from 0 to 7.

    Args:
        n_data: Number of points.
        seed: Seed of the points.

    Raises:
        TypeError: ``n_data`` is not an integer.
        ValueError: ``n_data`` is not positive.
    """

    def __init__(self, n_data: int, seed: int = 0) -> None:
        generator = _make_generator(n_data, seed)
        y = torch.randint(8, (n_data,), generator=generator)
        row = y // 2
        column = 2 * (y % 2) + row % 2
        corner = torch.stack([column, row], dim=1)
        super().__init__({"x": 2 * (corner + torch.rand(n_data, 2, generator=generator)) - 4, "y": y})

    @classmethod
    def synthesize(cls, n_data: int, seed: int = 0) -> SyntheticDataset:
        """Return as many synthetic examples of the same form."""
        return SyntheticDataset(n_data, x_shape=(2,), n_labels=8)


class CorrelatedGaussians(InMemoryDataset):
    """Pairs ``v1``, ``v2`` of standard normal vectors that are correlated in each dimension; ``x`` is ``v1``.

    Args:
        n_data: Number of pairs.
        n_dimensions: Number of dimensions of each vector.
        correlation: Correlation of ``v1`` and ``v2`` in each dimension.
        seed: Seed of the pairs.

    Raises:
        TypeError: A number is not an integer.
        ValueError: A number is not positive, or ``correlation`` is not between -1 and 1.

    References:
        The example of MINE: Mutual Information Neural Estimation (Belghazi et al., 2018),
        https://arxiv.org/abs/1801.04062
    """

    def __init__(self, n_data: int, n_dimensions: int, correlation: float, seed: int = 0) -> None:
        if not -1 < correlation < 1:
            raise ValueError(f"`correlation` must be between -1 and 1, got {correlation!r}.")
        generator = _make_generator(n_data, seed)
        v1, noise = torch.randn(2, n_data, check_count("n_dimensions", n_dimensions), generator=generator)
        super().__init__({"x": v1, "v1": v1, "v2": correlation * v1 + math.sqrt(1 - correlation**2) * noise})
        self.mutual_information = -n_dimensions / 2 * math.log(1 - correlation**2)
        """Mutual information of ``v1`` and ``v2``, in nats."""

    @classmethod
    def synthesize(cls, n_data: int, n_dimensions: int, correlation: float, seed: int = 0) -> "CorrelatedGaussians":
        """Return the examples themselves, because they need no file."""
        return cls(n_data, n_dimensions, correlation, seed)


def _make_generator(n_data: int, seed: int) -> torch.Generator:
    check_count("n_data", n_data)
    return torch.Generator().manual_seed(seed)
