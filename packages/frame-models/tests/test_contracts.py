"""Checks of every model of the package against the contract of its interface."""

from inspect import isclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, Normal, OneHotCategorical
from torch.utils._python_dispatch import TorchDispatchMode

import frame_models
from frame_core import Model
from frame_core.testing import check_model
from frame_models import (
    MINE,
    NWJ,
    SMILE,
    Autoencoder,
    BarlowTwins,
    BetaTCVAE,
    CategoricalVariationalAutoencoder,
    Classifier,
    CodePrior,
    ConditionalEntropyBottleneck,
    ConditionalVariationalAutoencoder,
    DenoisingDiffusion,
    DensityEstimator,
    FactorVAE,
    FlowMatching,
    GenerativeAdversarialNetwork,
    GuidedFlowMatching,
    HierarchicalVariationalAutoencoder,
    ImportanceWeightedAutoencoder,
    InfoNCE,
    MultiViewInformationBottleneck,
    SemiSupervisedVariationalAutoencoder,
    SimCLR,
    VariationalAutoencoder,
    VariationalInformationBottleneck,
    VectorQuantizedVariationalAutoencoder,
    VICReg,
    WassersteinGAN,
)

X_SHAPE = (1, 4, 5)
N_INPUTS = torch.Size(X_SHAPE).numel()
OF_PAIRS = ("BarlowTwins", "InfoNCE", "MINE", "MultiViewInformationBottleneck", "NWJ", "SMILE", "SimCLR", "VICReg")
NAMES = [name for name in frame_models.__all__ if isclass(getattr(frame_models, name))]


class Gaussian(nn.Module):
    """A small network without batch normalization or dropout."""

    def __init__(self, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.n_in_dims, self.out_shape = len(in_shape), out_shape
        self.linear = nn.Linear(torch.Size(in_shape).numel(), torch.Size(out_shape).numel())

    def forward(self, condition: Tensor) -> Distribution:
        mean = self.linear(condition.flatten(-self.n_in_dims)).unflatten(-1, self.out_shape)
        return Independent(Normal(mean, 1.0), len(self.out_shape))


class GaussianGivenLabel(nn.Module):
    """`Gaussian` with a shift of the mean for each label."""

    def __init__(self, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.gaussian = Gaussian(in_shape, out_shape)
        self.shifts = nn.Embedding(5, torch.Size(out_shape).numel())

    def forward(self, condition: Tensor, y: Tensor) -> Distribution:
        mean = self.gaussian(condition).mean + self.shifts(y).unflatten(-1, self.gaussian.out_shape)
        return Independent(Normal(mean, 1.0), len(self.gaussian.out_shape))


class Codes(nn.Module):
    """Three one-hot vectors of two categories, given data or not."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(N_INPUTS, 6)

    def forward(self, x: Tensor | None = None) -> Distribution:
        logits = self.linear.bias if x is None else self.linear(x.flatten(-3))
        return Independent(OneHotCategorical(logits=logits.unflatten(-1, (3, 2))), 1)


class LabelGaussian(nn.Module):
    def __init__(self, z_dim: int) -> None:
        super().__init__()
        self.means = nn.Embedding(5, z_dim)

    def forward(self, y: Tensor) -> Distribution:
        return Independent(Normal(self.means(y), 1.0), 1)


class TrainablePrior(nn.Module):
    def __init__(self, z_dim: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.ones(z_dim))

    def forward(self) -> Distribution:
        return Independent(Normal(self.mean, 1.0), 1)


class Predictor(nn.Module):
    def __init__(self, in_shape: tuple[int, ...], n_labels: int) -> None:
        super().__init__()
        self.n_in_dims = len(in_shape)
        self.linear = nn.Linear(torch.Size(in_shape).numel(), n_labels)

    def forward(self, condition: Tensor) -> Distribution:
        return Categorical(logits=self.linear(condition.flatten(-self.n_in_dims)))


class Score(nn.Module):
    """One number per example, or per pair of examples."""

    def __init__(self, n_inputs: int) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(n_inputs, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.network(torch.cat([x.flatten(1) for x in inputs], 1)).squeeze(-1)


class PairScore(nn.Module):
    """One number for each of all pairs of images."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * N_INPUTS, 1)

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.linear(torch.cat(torch.broadcast_tensors(*(x.flatten(-3) for x in inputs)), -1)).squeeze(-1)


class Field(nn.Module):
    """Velocities of images at a time, given labels from 0 to 5."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(N_INPUTS + 1, N_INPUTS)
        self.shifts = nn.Embedding(6, N_INPUTS)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        return (self.linear(torch.cat([x.flatten(-3), t.unsqueeze(-1)], -1)) + self.shifts(y)).view(x.shape)


class FieldWithoutLabels(Field):
    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        return super().forward(x, t, torch.zeros_like(t, dtype=torch.long))


class Noise(nn.Module):
    def forward(self) -> Distribution:
        return Independent(Normal(torch.zeros(X_SHAPE), 1.0), 3)


class TrainableNoise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(X_SHAPE))

    def forward(self) -> Distribution:
        return Independent(Normal(self.mean, 1.0), 3)


class Rounding(nn.Module):
    """A codebook of the numbers 0 to 9."""

    n_codes = 10

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        codes = z.detach().squeeze(-1).round().clamp(0, 9)
        return codes.unsqueeze(-1), codes.long()

    def get_vectors(self, codes: Tensor) -> Tensor:
        return codes.unsqueeze(-1).to(torch.get_default_dtype())


class CodeFrequencies(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(3, 2, 10))

    def forward(self) -> Distribution:
        return Independent(Categorical(logits=self.logits), 2)


class StandardNormal(nn.Module):
    def forward(self) -> Distribution:
        return Independent(Normal(torch.zeros(2), 1.0), 1)


CODES = Codes()
MODELS: dict[str, Model] = {
    "Autoencoder": Autoencoder(Gaussian(X_SHAPE, (2,)), Gaussian((2,), X_SHAPE)),
    "BarlowTwins": BarlowTwins(Gaussian(X_SHAPE, (3,)), nn.Linear(3, 2)),
    "BetaTCVAE": BetaTCVAE(Gaussian(X_SHAPE, (2,)), Gaussian((2,), X_SHAPE), TrainablePrior(2), beta=4.0),
    "CategoricalVariationalAutoencoder": CategoricalVariationalAutoencoder(
        CODES, Gaussian((3, 2), X_SHAPE), CODES, temperature=0.5
    ),
    "Classifier": Classifier(Predictor(X_SHAPE, 5)),
    "CodePrior": CodePrior(
        VectorQuantizedVariationalAutoencoder(Gaussian(X_SHAPE, (3, 2, 1)), Gaussian((3, 2, 1), X_SHAPE), Rounding()),
        CodeFrequencies(),
    ),
    "ConditionalEntropyBottleneck": ConditionalEntropyBottleneck(
        Gaussian(X_SHAPE, (2,)), Predictor((2,), 5), LabelGaussian(2), beta=0.5, n_samples=3
    ),
    "ConditionalVariationalAutoencoder": ConditionalVariationalAutoencoder(
        GaussianGivenLabel(X_SHAPE, (2,)), GaussianGivenLabel((2,), X_SHAPE), TrainablePrior(2), beta=0.5
    ),
    "DensityEstimator": DensityEstimator(TrainableNoise()),
    "FactorVAE": FactorVAE(Gaussian(X_SHAPE, (2,)), Gaussian((2,), X_SHAPE), TrainablePrior(2), Score(2), gamma=4.0),
    "DenoisingDiffusion": DenoisingDiffusion(FieldWithoutLabels(), Noise(), n_steps=10, last_beta=0.5),
    "FlowMatching": FlowMatching(FieldWithoutLabels(), Noise()),
    "GenerativeAdversarialNetwork": GenerativeAdversarialNetwork(
        Gaussian((2,), X_SHAPE), Score(N_INPUTS), StandardNormal()
    ),
    "GuidedFlowMatching": GuidedFlowMatching(Field(), Noise(), n_labels=5, label_dropout=0.5, guidance=2.0),
    "HierarchicalVariationalAutoencoder": HierarchicalVariationalAutoencoder(
        Gaussian(X_SHAPE, (3,)), Gaussian((3,), X_SHAPE), Gaussian((3,), (2,)), Gaussian((2,), (3,)), TrainablePrior(2)
    ),
    "ImportanceWeightedAutoencoder": ImportanceWeightedAutoencoder(
        Gaussian(X_SHAPE, (2,)), Gaussian((2,), X_SHAPE), TrainablePrior(2), n_samples=3, gradient="DReG"
    ),
    "InfoNCE": InfoNCE(PairScore()),
    "MINE": MINE(PairScore()),
    "MultiViewInformationBottleneck": MultiViewInformationBottleneck(
        Gaussian(X_SHAPE, (2,)), Gaussian(X_SHAPE, (2,)), Score(4), beta=0.5
    ),
    "NWJ": NWJ(PairScore()),
    "SMILE": SMILE(PairScore()),
    "SemiSupervisedVariationalAutoencoder": SemiSupervisedVariationalAutoencoder(
        GaussianGivenLabel(X_SHAPE, (2,)),
        GaussianGivenLabel((2,), X_SHAPE),
        TrainablePrior(2),
        Predictor(X_SHAPE, 5),
        alpha=2.0,
    ),
    "SimCLR": SimCLR(Gaussian(X_SHAPE, (3,)), nn.Linear(3, 2)),
    "VICReg": VICReg(Gaussian(X_SHAPE, (3,)), nn.Linear(3, 2)),
    "VariationalAutoencoder": VariationalAutoencoder(
        Gaussian(X_SHAPE, (2,)), Gaussian((2,), X_SHAPE), TrainablePrior(2), beta=0.5
    ),
    "VariationalInformationBottleneck": VariationalInformationBottleneck(
        Gaussian(X_SHAPE, (2,)), Predictor((2,), 5), TrainablePrior(2), beta=0.5, n_samples=3
    ),
    "VectorQuantizedVariationalAutoencoder": VectorQuantizedVariationalAutoencoder(
        Gaussian(X_SHAPE, (3, 2, 1)), Gaussian((3, 2, 1), X_SHAPE), Rounding()
    ),
    "WassersteinGAN": WassersteinGAN(Gaussian((2,), X_SHAPE), Score(N_INPUTS), StandardNormal()),
}


def make_batch() -> dict[str, Tensor]:
    x, v1, v2 = torch.rand(3, 5, *X_SHAPE)
    return {"x": x, "y": torch.arange(5), "v1": v1, "v2": v2}


@pytest.mark.parametrize("name", NAMES)
def test_model_satisfies_the_contract(name: str) -> None:
    model = MODELS[name]
    assert type(model) is getattr(frame_models, name)
    check_model(model, make_batch())


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_trained_in_mixed_precision(name: str) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        loss = MODELS[name].train().compute_loss(make_batch(), 0)["loss"]
    loss.backward()
    assert loss.isfinite()


@pytest.mark.parametrize("name", NAMES)
def test_a_step_never_waits_for_a_gpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []

    class ReadCounter(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.is_nonzero.default):
                reads.append(str(func))
            return func(*args, **kwargs or {})

    monkeypatch.setattr(Distribution, "_validate_args", False)  # validation reads values
    with ReadCounter():
        MODELS[name].compute_loss(make_batch(), 0)["loss"].backward()
    assert reads == []


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_key_of_a_batch_is_named(name: str) -> None:
    missing = "v1" if name in OF_PAIRS else "x"
    with pytest.raises(ValueError, match=f"The batch has no `{missing}`; it has `other`"):
        MODELS[name].compute_loss({"other": torch.rand(5, *X_SHAPE)}, 0)


@pytest.mark.parametrize(
    "name",
    [
        "Classifier",
        "ConditionalVariationalAutoencoder",
        "SemiSupervisedVariationalAutoencoder",
        "ConditionalEntropyBottleneck",
        "VariationalInformationBottleneck",
    ],
)
def test_a_batch_without_labels_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="The batch has no `y`; it has `x`"):
        MODELS[name].compute_loss({"x": torch.rand(5, *X_SHAPE)}, 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_cites_its_paper(name: str) -> None:
    assert "References:" in (getattr(frame_models, name).__doc__ or "")
