"""Minimal models, data and an optimization that satisfy every contract."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, Normal

from frame_core.data import SizedDataset
from frame_core.models import (
    ClassificationModel,
    GenerativeModel,
    ImportanceSamplingModel,
    LatentVariableModel,
    Model,
    ReconstructionModel,
    VariationalModel,
)


class TinyModel(
    GenerativeModel,
    LatentVariableModel,
    ReconstructionModel,
    VariationalModel,
    ImportanceSamplingModel,
    ClassificationModel,
):
    """Linear Gaussian model whose evidence has a closed form. It has every capability except the adversarial one.

    z ~ N(0, 1) and x | z ~ N(z + shift, 1) in every dimension, so that x ~ N(shift, 2). The posterior is
    exact, and log q(z | x) - log p(z) is computed at the sampled z. The evidence lower bound therefore equals
    the log evidence for every z: log p(x | z) + log p(z) - log q(z | x) = log p(x).

    Args:
        x_shape: Shape of one example.
        n_labels: Number of labels.
    """

    def __init__(self, x_shape: tuple[int, ...] = (1, 4, 4), n_labels: int = 3) -> None:
        super().__init__()
        self.x_shape = torch.Size(x_shape)
        self.shift = nn.Parameter(torch.full(x_shape, 0.5))
        self.classifier = nn.Linear(self.x_shape.numel(), n_labels)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        terms = self.compute_loss_components(data)
        classification = -self.classify(data).log_prob(data["y"]).mean()
        return {
            "loss": terms["reconstruction"] + terms["regularization"] + classification,
            "classification": classification.detach(),
            **{name: term.detach() for name, term in terms.items()},
        }

    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        q_z = self.encode(data["x"])
        z = q_z.rsample()
        return {
            "reconstruction": -self.decode(z).log_prob(data["x"]).mean(),
            "regularization": (q_z.log_prob(z) - self._prior().log_prob(z)).mean(),
        }

    def encode(self, x: Tensor) -> Distribution:
        return Independent(Normal((x - self.shift) / 2, 0.5**0.5), len(self.x_shape))

    def reconstruct(
        self, data: Mapping[str, Tensor], sample_latents: bool = False, sample_output: bool = False
    ) -> Tensor:
        q_z = self.encode(data["x"])
        p_x = self.decode(q_z.sample() if sample_latents else q_z.mean)
        return p_x.sample() if sample_output else p_x.mean

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        p_x = self.decode(self._prior().sample(sample_shape))
        return p_x.sample() if sample_output else p_x.mean

    def classify(self, data: Mapping[str, Tensor], n_samples: int = 1) -> Distribution:
        return Categorical(logits=self.classifier(data["x"].flatten(-len(self.x_shape))))

    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        x = data["x"]
        q_z = self.encode(x)
        z = q_z.rsample(torch.Size([n_samples]))
        return self._prior().log_prob(z) + self.decode(z).log_prob(x) - q_z.log_prob(z)

    def log_evidence(self, x: Tensor) -> Tensor:
        """Return the log density of x ~ N(shift, 2), in nats: a tensor of shape (batch,)."""
        return Independent(Normal(self.shift, 2**0.5), len(self.x_shape)).log_prob(x)

    def _prior(self) -> Distribution:
        return Independent(Normal(torch.zeros_like(self.shift), 1.0), len(self.x_shape))

    def decode(self, z: Tensor) -> Distribution:
        return Independent(Normal(z + self.shift, 1.0), len(self.x_shape))


class TinyConditionalModel(Model):
    """`TinyModel` with a shift for each label, which the model is given. It derives from no capability.

    z ~ N(0, 1) and x | z, y ~ N(z + shift_y, 1) in every dimension, so that x | y ~ N(shift_y, 2). The evidence lower
    bound equals log p(x | y) for every z.

    Args:
        x_shape: Shape of one example.
        n_labels: Number of labels.
    """

    def __init__(self, x_shape: tuple[int, ...] = (1, 4, 4), n_labels: int = 3) -> None:
        super().__init__()
        self.x_shape = torch.Size(x_shape)
        self.shifts = nn.Parameter(torch.linspace(0, 1, n_labels).view(-1, *[1] * len(x_shape)).repeat(1, *x_shape))

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        terms = self.compute_loss_components(data)
        return {
            "loss": terms["reconstruction"] + terms["regularization"],
            **{name: term.detach() for name, term in terms.items()},
        }

    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        q_z = self.encode_batch(data)
        z = q_z.rsample()
        return {
            "reconstruction": -self._decode(z, data["y"]).log_prob(data["x"]).mean(),
            "regularization": (q_z.log_prob(z) - self._prior().log_prob(z)).mean(),
        }

    def encode_batch(self, data: Mapping[str, Tensor]) -> Distribution:
        return self._make_normal((data["x"] - self.shifts[data["y"]]) / 2, 0.5**0.5)

    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        q_z = self.encode_batch(data)
        z = q_z.rsample(torch.Size([n_samples]))
        p_x = self._decode(z, data["y"])
        return self._prior().log_prob(z) + p_x.log_prob(data["x"]) - q_z.log_prob(z)

    def reconstruct(
        self, data: Mapping[str, Tensor], sample_latents: bool = False, sample_output: bool = False
    ) -> Tensor:
        q_z = self.encode_batch(data)
        p_x = self._decode(q_z.sample() if sample_latents else q_z.mean, data["y"])
        return p_x.sample() if sample_output else p_x.mean

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False, *, y: Tensor) -> Tensor:
        p_x = self._decode(self._prior().sample(sample_shape + y.shape), y)
        return p_x.sample() if sample_output else p_x.mean

    def log_evidence(self, data: Mapping[str, Tensor]) -> Tensor:
        """Return the log density of x | y ~ N(shift_y, 2), in nats: a tensor of shape (batch,)."""
        return self._make_normal(self.shifts[data["y"]], 2**0.5).log_prob(data["x"])

    def _decode(self, z: Tensor, y: Tensor) -> Distribution:
        return self._make_normal(z + self.shifts[y], 1.0)

    def _prior(self) -> Distribution:
        return self._make_normal(torch.zeros_like(self.shifts[0]), 1.0)

    def _make_normal(self, mean: Tensor, scale: float) -> Distribution:
        return Independent(Normal(mean, scale), len(self.x_shape))


def make_tiny_data(
    n_data: int = 12, x_shape: tuple[int, ...] = (1, 4, 4), n_labels: int = 3
) -> list[dict[str, Tensor]]:
    """Make a data set of ``n_data`` dictionaries: ``x`` in [0, 1] of shape ``x_shape`` and a label ``y``."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(n_data, *x_shape, generator=generator)
    return [{"x": x[index], "y": torch.tensor(index % n_labels)} for index in range(n_data)]


@dataclass
class TinyOptimization:
    """An optimization with a model and two splits of data, before its first step."""

    model: Model = field(default_factory=TinyModel)
    data: Mapping[str, SizedDataset] = field(
        default_factory=lambda: {"train": make_tiny_data(), "valid": make_tiny_data(7)}
    )
    counters: dict[str, int] = field(default_factory=lambda: {"iteration": 0})
