"""Normalizing flow as a prior, or as a density of data. It requires zuko."""

from collections.abc import Sequence

from torch.distributions import AffineTransform, Distribution, TransformedDistribution

from frame_architectures.priors import DiagonalNormal
from frame_core import MarginalDistribution, check_choice, check_count, check_positive, check_sizes

_validate_args = Distribution._validate_args  # pyright: ignore[reportPrivateUsage]
try:
    import zuko
except ModuleNotFoundError as error:
    if error.name != "zuko":
        raise
    raise ModuleNotFoundError("`Flow` needs zuko: `pip install frame-architectures[zuko]`.", name=error.name) from None
finally:
    Distribution.set_default_validate_args(_validate_args)  # importing zuko disables validation globally


class Flow(MarginalDistribution):
    """Autoregressive flow over events of shape (z_dim,), trained with the rest of the model.

    Per transform, a density takes one pass and a sample takes ``z_dim`` passes. The distribution has no mean. Neural
    splines have no effect outside of [-5, 5], so larger events need a scale.

    Args:
        z_dim: Number of dimensions.
        n_transforms: Number of autoregressive transforms.
        layers: Number of units in each hidden layer of a transform.
        kind: ``NSF``, a neural spline flow, or ``MAF``, a masked autoregressive flow, whose transforms are affine.
        scale: Factor on the events of the flow.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size or ``scale`` is not positive, or ``kind`` is unknown.

    References:
        Neural Spline Flows (Durkan et al., 2019), https://arxiv.org/abs/1906.04032

        Masked Autoregressive Flow for Density Estimation (Papamakarios et al., 2017), https://arxiv.org/abs/1705.07057
    """

    def __init__(
        self,
        z_dim: int,
        n_transforms: int = 3,
        layers: Sequence[int] = (128, 128),
        kind: str = "NSF",
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.base = DiagonalNormal(z_dim)
        self.scale = check_positive("scale", scale)
        flows = {"NSF": zuko.flows.NSF, "MAF": zuko.flows.MAF}
        self.transform = flows[check_choice("kind", kind, flows)](
            features=z_dim,
            transforms=check_count("n_transforms", n_transforms),
            hidden_features=check_sizes("layers", layers),
        ).transform

    def forward(self) -> Distribution:
        flow = zuko.distributions.NormalizingFlow(self.transform(None), self.base())
        return flow if self.scale == 1 else TransformedDistribution(flow, AffineTransform(0.0, self.scale, event_dim=1))
