"""Priors of a representation, and sources of a flow."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, MixtureSameFamily
from torch.nn.functional import softplus

from frame_architectures.categorical import Categorical, UncheckedOneHotCategorical
from frame_architectures.normal import Normal
from frame_architectures.stochastic import MIN_SCALE, as_shape
from frame_core import MarginalDistribution, check_count, check_positive, check_sizes


class DiagonalNormal(MarginalDistribution):
    """Standard normal distribution N(0, I) over events of shape (z_dim,), without trainable parameters.

    Args:
        z_dim: Number of dimensions, or the shape of an event, such as (1, 28, 28).

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive.
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, z_dim: int | Sequence[int]) -> None:
        super().__init__()
        shape = as_shape("z_dim", z_dim)
        self.register_buffer("loc", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))

    def forward(self) -> Distribution:
        return Independent(Normal(self.loc, self.scale, validate_args=False), self.loc.ndim, validate_args=False)


class UniformCategorical(MarginalDistribution):
    """Uniform distribution over one-hot vectors, of event shape (n_latents, n_categories), without parameters.

    Args:
        n_latents: Number of categorical variables.
        n_categories: Number of values of each.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive.
    """

    logits: Tensor

    def __init__(self, n_latents: int, n_categories: int) -> None:
        super().__init__()
        shape = (check_count("n_latents", n_latents), check_count("n_categories", n_categories))
        self.register_buffer("logits", torch.zeros(shape))

    def forward(self) -> Distribution:
        return Independent(UncheckedOneHotCategorical(self.logits), 1, validate_args=False)


class RingOfGaussians(MarginalDistribution):
    """Normal distributions in the plane whose means are spread evenly over a circle, without trainable parameters.

    Args:
        n_components: Number of normal distributions.
        radius: Radius of the circle.
        scale: Standard deviation of each distribution, in both directions.

    Raises:
        TypeError: A number has a wrong type.
        ValueError: A number is not positive.
    """

    loc: Tensor
    scale: Tensor
    logits: Tensor

    def __init__(self, n_components: int, radius: float, scale: float) -> None:
        super().__init__()
        angle = 2 * torch.pi * torch.arange(check_count("n_components", n_components)) / n_components
        self.register_buffer("loc", check_positive("radius", radius) * torch.stack([angle.cos(), angle.sin()], dim=1))
        self.register_buffer("scale", torch.tensor(float(check_positive("scale", scale))))
        self.register_buffer("logits", torch.zeros(n_components))

    def forward(self) -> Distribution:
        return MixtureSameFamily(
            Categorical(logits=self.logits, validate_args=False),
            Independent(Normal(self.loc, self.scale, validate_args=False), 1, validate_args=False),
            validate_args=False,
        )


class MixtureOfGaussians(MarginalDistribution):
    """Trainable mixture of normal distributions with diagonal covariance over events of shape (z_dim,).

    It is initialized with equal weights, means sampled from N(0, I) and scales of one.

    Args:
        z_dim: Number of dimensions.
        n_components: Number of normal distributions.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive.
    """

    def __init__(self, z_dim: int, n_components: int) -> None:
        super().__init__()
        shape = (check_count("n_components", n_components), check_count("z_dim", z_dim))
        self.logits = nn.Parameter(torch.zeros(n_components))
        self.loc = nn.Parameter(torch.randn(shape))
        self.raw_scale = nn.Parameter(torch.full(shape, 1 - MIN_SCALE).expm1().log())  # a scale of one

    def forward(self) -> Distribution:
        components = Normal(self.loc, softplus(self.raw_scale) + MIN_SCALE, validate_args=False)
        return MixtureSameFamily(
            Categorical(logits=self.logits, validate_args=False),
            Independent(components, 1, validate_args=False),
            validate_args=False,
        )


class VampPrior(MarginalDistribution):
    """Mixture of the posteriors of trainable pseudo-inputs: p(z) = 1/K sum_k q(z | u_k).

    The prior that maximizes the evidence lower bound is the posterior averaged over the data. This is an approximation
    of it by K inputs, which are trained with the model. They start as uniform noise, and are clamped to [0, 1].

    Args:
        encoder: Posterior q(z | x) of the model, from (batch, \\*x_shape) to an event of shape (\\*z_shape,). The model
            and its prior share it.
        x_shape: Shape of one example, whose numbers are in [0, 1].
        n_components: Number K of pseudo-inputs. The encoder is called with them in each step.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive.

    References:
        VAE with a VampPrior (Tomczak & Welling, 2018), https://arxiv.org/abs/1705.07120
    """

    def __init__(self, encoder: nn.Module, x_shape: Sequence[int], n_components: int) -> None:
        super().__init__()
        self.encoder = encoder
        shape = (check_count("n_components", n_components), *check_sizes("x_shape", x_shape))
        self.pseudo_inputs = nn.Parameter(torch.rand(shape))

    def forward(self) -> Distribution:
        posteriors = self.encoder(self.pseudo_inputs.clamp(0, 1))
        weights = torch.zeros(len(self.pseudo_inputs), device=self.pseudo_inputs.device)
        return MixtureSameFamily(Categorical(logits=weights, validate_args=False), posteriors, validate_args=False)
