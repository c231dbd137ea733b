"""The doubles satisfy every contract, and every assertion of every check fails on a class that violates it."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, Normal, OneHotCategorical, Poisson

from frame_core import (
    HISTOGRAM_ENTRY,
    IMAGE_ENTRY,
    PLOT_ENTRY,
    SCALAR_ENTRY,
    SCALARS_ENTRY,
    TABLE_ENTRY,
    TEXT_ENTRY,
    AdversarialModel,
    ConditionalDistribution,
    Delta,
    EntryType,
    Evaluation,
    LogEntry,
    MarginalDistribution,
    Optimization,
    get_batch,
    iterate_batches,
)
from frame_core.testing import (
    TinyConditionalModel,
    TinyModel,
    TinyOptimization,
    check_conditional_distribution,
    check_evaluation,
    check_logger,
    check_marginal_distribution,
    check_model,
    make_tiny_data,
)

BATCH = get_batch(make_tiny_data(), torch.arange(5))


class TinyFigure:
    def savefig(self, fname: Any, /) -> None:
        """Save nothing: no logger here writes anything."""


# The doubles


def test_the_lower_bound_of_the_tiny_model_is_its_log_evidence_for_every_sample() -> None:
    model = TinyModel()
    for _ in range(3):
        terms = model.compute_loss_components(BATCH)
        lower_bound = -(terms["reconstruction"] + terms["regularization"])
        torch.testing.assert_close(lower_bound, model.log_evidence(BATCH["x"]).mean())


def test_the_log_evidence_of_the_tiny_model_is_the_integral_over_z() -> None:
    model = TinyModel(x_shape=(1,)).double()
    x, z = torch.tensor([[-1.0], [0.3], [2.0]]).double(), torch.linspace(-12, 12, 4001).double()
    joint = Normal(0.0, 1.0).log_prob(z) + Normal(z + model.shift, 1.0).log_prob(x)
    torch.testing.assert_close(model.log_evidence(x), torch.trapezoid(joint.exp(), z).log())


def test_the_gradient_of_the_loss_of_the_tiny_model_is_that_of_its_log_evidence() -> None:
    model = TinyModel()
    terms = model.compute_loss_components(BATCH)
    (gradient,) = torch.autograd.grad(terms["reconstruction"] + terms["regularization"], [model.shift])
    (expected,) = torch.autograd.grad(-model.log_evidence(BATCH["x"]).mean(), [model.shift])
    torch.testing.assert_close(gradient, expected)


def test_samples_of_the_tiny_model_have_the_mean_and_variance_of_its_evidence() -> None:
    torch.manual_seed(0)
    samples = TinyModel(x_shape=(2,)).sample(torch.Size([100_000]), sample_output=True).detach()
    assert (samples.mean(0) - 0.5).abs().max() < 4 * (2 / 100_000) ** 0.5  # four standard errors
    assert (samples.var(0) - 2).abs().max() < 4 * 2 * (2 / 100_000) ** 0.5


@pytest.mark.parametrize("x_shape", [(1, 4, 4), (3,), (2, 1)])
def test_the_tiny_model_satisfies_the_contract_of_every_capability(x_shape: tuple[int, ...]) -> None:
    data = make_tiny_data(n_data=4, x_shape=x_shape)
    check_model(TinyModel(x_shape), get_batch(data, torch.arange(4)))


@pytest.mark.parametrize("x_shape", [(1, 4, 4), (3,), (2, 1)])
def test_the_tiny_conditional_model_satisfies_the_contract_of_its_capabilities(
    x_shape: tuple[int, ...],
) -> None:
    data = make_tiny_data(n_data=4, x_shape=x_shape)
    check_model(TinyConditionalModel(x_shape), get_batch(data, torch.arange(4)))


def test_the_log_evidence_of_the_tiny_conditional_model_is_the_integral_over_z() -> None:
    model = TinyConditionalModel(x_shape=(1,)).double()
    x, y = torch.tensor([[-1.0], [0.3], [2.0]]).double(), torch.tensor([2, 0, 1])
    z = torch.linspace(-12, 12, 4001).double()
    joint = Normal(0.0, 1.0).log_prob(z) + Normal(z + model.shifts[y], 1.0).log_prob(x)
    torch.testing.assert_close(model.log_evidence({"x": x, "y": y}), torch.trapezoid(joint.exp(), z).log())


def test_the_bounds_of_the_tiny_conditional_model_are_its_log_evidence_given_the_label() -> None:
    model = TinyConditionalModel()
    log_evidence = model.log_evidence(BATCH)
    terms = model.compute_loss_components(BATCH)
    torch.testing.assert_close(-(terms["reconstruction"] + terms["regularization"]), log_evidence.mean())
    torch.testing.assert_close(model.compute_log_weights(BATCH, 3), log_evidence.expand(3, 5))
    other_labels = {**BATCH, "y": (BATCH["y"] + 1) % 3}
    assert not torch.isclose(model.log_evidence(other_labels), log_evidence).any()


def test_samples_of_the_tiny_conditional_model_have_the_mean_and_variance_of_their_label() -> None:
    torch.manual_seed(0)
    model = TinyConditionalModel(x_shape=(2,))
    samples = model.sample(torch.Size([100_000]), sample_output=True, y=torch.tensor([0, 2])).detach()
    assert samples.shape == (100_000, 2, 2)
    assert (samples.mean(0) - model.shifts[[0, 2]]).abs().max() < 4 * (2 / 100_000) ** 0.5  # four standard errors
    assert (samples.var(0) - 2).abs().max() < 4 * 2 * (2 / 100_000) ** 0.5


def test_the_tiny_data_are_reproducible_in_0_to_1_and_have_every_label() -> None:
    one, two = (next(iterate_batches(make_tiny_data(), 12)) for _ in range(2))
    torch.testing.assert_close(one, two)
    assert one["x"].shape == (12, 1, 4, 4)
    assert one["x"].min() >= 0
    assert one["x"].max() <= 1
    assert set(one["y"].tolist()) == {0, 1, 2}


def test_each_tiny_optimization_has_a_model_data_and_counters_of_its_own() -> None:
    one, two = TinyOptimization(), TinyOptimization()
    assert one.model is not two.model
    assert one.counters is not two.counters
    assert {split: len(data) for split, data in one.data.items()} == {"train": 12, "valid": 7}


@pytest.mark.parametrize("n_samples", [1, 7])
def test_every_weight_of_the_tiny_model_is_its_evidence(n_samples: int) -> None:
    model = TinyModel()
    expected = model.log_evidence(BATCH["x"]).expand(n_samples, 5)
    torch.testing.assert_close(model.compute_log_weights(BATCH, n_samples), expected)


# Models


class TinyLoss(TinyModel):
    """A tiny model whose quantities are changed before they are returned."""

    def __init__(self, change: Callable[[dict[str, Tensor]], dict[str, Any]]) -> None:
        super().__init__()
        self.change = change

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return self.change(super().compute_loss(data, data_idx))


@pytest.mark.parametrize(
    ("change", "violation"),
    [
        (lambda quantities: {"elbo": quantities["loss"]}, "without 'loss'"),
        (lambda quantities: {**quantities, "elbo": "1"}, "'elbo' is a str, not a tensor"),
        (lambda quantities: {**quantities, "elbo": float("nan")}, "'elbo' is nan"),
        (lambda quantities: {"loss": quantities["loss"].item()}, "'loss' is a float, not a tensor"),
        (lambda quantities: {**quantities, "elbo": torch.zeros(3)}, r"'elbo' has shape \(3,\), not \(\)"),
        (lambda quantities: {**quantities, "elbo": torch.tensor(torch.nan)}, "'elbo' is nan"),
        (lambda quantities: {**quantities, "elbo": quantities["loss"] + 0}, "check 'elbo'"),
        (lambda quantities: {"loss": quantities["loss"].detach()}, "check 'loss'"),
    ],
)
def test_check_model_finds_a_wrong_loss(change: Callable[[dict[str, Tensor]], dict[str, Any]], violation: str) -> None:
    with pytest.raises(AssertionError, match=violation):
        check_model(TinyLoss(change), BATCH)


def test_quantities_beside_the_loss_may_be_numbers() -> None:
    check_model(TinyLoss(lambda quantities: {**quantities, "elbo": 1.5, "n": 3}), BATCH)


def test_check_model_requires_a_model() -> None:
    broken: Any = nn.Linear(2, 2)
    with pytest.raises(AssertionError, match="Linear is not a Model"):
        check_model(broken, BATCH)


class UnusedParameter(TinyModel):
    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(2, 2)


class Forgetful(TinyModel):
    def load_state_dict(self, *arguments: Any, **options: Any) -> None:
        """Load nothing."""


class OneTerm(TinyModel):
    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"reconstruction": super().compute_loss_components(data)["reconstruction"]}

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"loss": self.shift.sum() - self.classify(data).log_prob(data["y"]).mean()}


class TermsPerExample(OneTerm):
    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"reconstruction": torch.zeros(len(data["x"])), "regularization": torch.zeros(())}


class ElementwisePosterior(OneTerm):
    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"reconstruction": torch.zeros(()), "regularization": torch.zeros(())}

    def encode(self, x: Tensor) -> Distribution:
        return Normal(x, 1.0)


class TensorPosterior(ElementwisePosterior):
    def encode(self, x: Tensor) -> Any:
        return x


class TransposedWeights(TinyModel):
    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        return super().compute_log_weights(data, n_samples).T


class InfiniteWeights(TinyModel):
    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        return super().compute_log_weights(data, n_samples) - torch.inf


class WidePosterior(TinyModel):
    """Its posterior is twice as wide as the exact one, so that the weights depend on z."""

    def encode(self, x: Tensor) -> Distribution:
        return Independent(Normal((x - self.shift) / 2, 2**0.5), len(self.x_shape))


class WeightsWithoutGradient(WidePosterior):
    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        q_z = self.encode(data["x"])
        z = q_z.sample(torch.Size([n_samples]))
        return self._prior().log_prob(z) + self.decode(z).log_prob(data["x"]) - q_z.log_prob(z)


class DetachedWeights(WidePosterior):
    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        return super().compute_log_weights(data, n_samples).detach()


class SinglePrecisionWeights(TinyModel):
    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        return self.classifier(data["x"].float().flatten(1)).sum(1).expand(n_samples, -1)


class ElementwiseLikelihood(OneTerm):
    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"reconstruction": torch.zeros(()), "regularization": torch.zeros(())}

    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        return torch.zeros(n_samples, len(data["x"]))

    def decode(self, z: Tensor) -> Distribution:
        return Normal(z, 1.0)


class FlatLikelihood(ElementwiseLikelihood):
    def decode(self, z: Tensor) -> Distribution:
        return Independent(Normal(z.flatten(1), 1.0), 1)


class OneLabelForAll(TinyModel):
    def classify(self, data: Mapping[str, Tensor], n_samples: int = 1) -> Distribution:
        if len(data["x"]) == 1 or not torch.is_grad_enabled():
            return Categorical(logits=self.classifier(data["x"].flatten(1)).mean(0))
        return super().classify(data, n_samples)


class OneHotLabels(TinyModel):
    def classify(self, data: Mapping[str, Tensor], n_samples: int = 1) -> Distribution:
        p_y = super().classify(data, n_samples)
        return p_y if torch.is_grad_enabled() else OneHotCategorical(logits=self.classifier(data["x"].flatten(1)))


class AxisOfDraws(TinyModel):
    def classify(self, data: Mapping[str, Tensor], n_samples: int = 1) -> Distribution:
        logits = self.classifier(data["x"].flatten(1))
        return Categorical(logits=logits if n_samples == 1 else logits.expand(n_samples, *logits.shape))


class FlatReconstruction(TinyModel):
    def reconstruct(
        self, data: Mapping[str, Tensor], sample_latents: bool = False, sample_output: bool = False
    ) -> Tensor:
        return super().reconstruct(data, sample_latents, sample_output).flatten(1)


class FlatSampledReconstruction(TinyModel):
    def reconstruct(
        self, data: Mapping[str, Tensor], sample_latents: bool = False, sample_output: bool = False
    ) -> Tensor:
        reconstruction = super().reconstruct(data, sample_latents, sample_output)
        return reconstruction.flatten(1) if sample_latents and sample_output else reconstruction


class AlwaysABatch(TinyModel):
    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        return super().sample(sample_shape or torch.Size([1]), sample_output)


class FlatSamples(TinyModel):
    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        samples = super().sample(torch.Size([sample_shape.numel()]), sample_output)
        return samples if sample_shape else samples[0]


@pytest.mark.parametrize(
    ("model", "violation"),
    [
        (UnusedParameter, "no gradient of the loss reaches `unused.weight`"),
        (Forgetful, "`shift` is not restored from a state dict"),
        (OneTerm, "does not return regularization"),
        (TermsPerExample, "the loss components are not scalars"),
        (ElementwisePosterior, r"`encode` has `batch_shape` \(5, 1, 4, 4\), not \(5,\)"),
        (TensorPosterior, "`TensorPosterior.encode` must return a distribution, got a Tensor"),
        (TransposedWeights, r"`compute_log_weights` has shape \(5, 3\)"),
        (InfiniteWeights, "`compute_log_weights` is not finite"),
        (WeightsWithoutGradient, "the gradient of `compute_log_weights` for `shift` is .*; draw z with `rsample`"),
        (DetachedWeights, "the gradient of `compute_log_weights` for `shift` is 0 in a direction"),
        (SinglePrecisionWeights, "`compute_log_weights` does not compute in the precision of the parameters"),
        (ElementwiseLikelihood, r"`decode` has `batch_shape` \(5, 1, 4, 4\), not \(5,\)"),
        (FlatLikelihood, r"`decode` has `event_shape` \(16,\)"),
        (OneLabelForAll, r"`classify` has `batch_shape` \(\), not \(5,\)"),
        (OneHotLabels, "`classify` returns a OneHotCategorical, not a Categorical"),
        (AxisOfDraws, r"`classify` has `batch_shape` \(3, 5\), not \(5,\)"),
        (FlatReconstruction, r"`reconstruct` returns shape \(5, 16\)"),
        (FlatSampledReconstruction, r"`reconstruct` returns shape \(5, 16\)"),
        (AlwaysABatch, r"`sample\(\(\)\)` has shape \(1, 1, 4, 4\)"),
        (FlatSamples, r"`sample\(\(2, 3\)\)` has shape \(6, 1, 4, 4\)"),
    ],
)
def test_check_model_finds_every_violation(model: type[TinyModel], violation: str) -> None:
    with pytest.raises(AssertionError, match=violation):
        check_model(model(), BATCH)


def test_weights_of_an_inexact_posterior_that_are_reparameterized_pass() -> None:
    check_model(WidePosterior(), BATCH)


class CountingPosterior(WidePosterior):
    """A posterior over integers, which no gradient reaches through z."""

    def encode(self, x: Tensor) -> Distribution:
        return Independent(Poisson((x - self.shift).exp()), len(self.x_shape))

    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: self.shift.sum() for name in ("reconstruction", "regularization")}

    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        q_z = self.encode(data["x"])
        return -q_z.log_prob(q_z.sample(torch.Size([n_samples])))


def test_weights_of_a_posterior_that_can_not_be_reparameterized_pass() -> None:
    check_model(CountingPosterior(), BATCH)


class Shift(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1, 4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.shift


class TinyAdversary(AdversarialModel):
    """Minimal adversarial model: the score of an image is its sum, and each part detaches the other."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = Shift()
        self.discriminator = Shift()

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        parts = (self.compute_generator_loss, self.compute_discriminator_loss)
        return {"loss": sum((part(data, data_idx)["loss"] for part in parts), torch.zeros(()))}

    def compute_generator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"loss": -(self.generator(torch.zeros(1, 4, 4)) + self.discriminator.shift.detach()).sum()}

    def compute_discriminator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"loss": self.discriminator(self.generator(torch.zeros(1, 4, 4)).detach() - data["x"]).mean()}

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        return self.generator(torch.zeros(*sample_shape, 1, 4, 4))


class NormalizedAdversary(TinyAdversary):
    """Batch normalization, which in train mode fails on a single example."""

    def __init__(self) -> None:
        super().__init__()
        self.normalization = nn.BatchNorm2d(1, affine=False)

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        assert not self.training
        return self.normalization(super().sample(sample_shape).reshape(-1, 1, 4, 4)).reshape(*sample_shape, 1, 4, 4)


class GeneratorTeachesDiscriminator(TinyAdversary):
    def compute_generator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"loss": -self.discriminator(self.generator(torch.zeros(1, 4, 4))).sum()}


class DiscriminatorTeachesGenerator(TinyAdversary):
    def compute_discriminator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"loss": self.discriminator(self.generator(torch.zeros(1, 4, 4)) - data["x"]).mean()}


class ExchangedLosses(TinyAdversary):
    def compute_generator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return super().compute_discriminator_loss(data, data_idx)

    def compute_discriminator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return super().compute_generator_loss(data, data_idx)


class NamelessLoss(TinyAdversary):
    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"loss": self.generator.shift.sum() + self.discriminator.shift.sum()}

    def compute_generator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"generator": super().compute_generator_loss(data, data_idx)["loss"]}


class LoggedGradient(TinyAdversary):
    def compute_discriminator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        loss = super().compute_discriminator_loss(data, data_idx)["loss"]
        return {"loss": loss, "score": 2 * loss}


def test_an_adversarial_model_that_satisfies_its_contract_passes() -> None:
    check_model(TinyAdversary(), BATCH)


def test_a_model_is_sampled_in_eval_mode() -> None:
    check_model(NormalizedAdversary(), BATCH)


@pytest.mark.parametrize(
    ("model", "violation"),
    [
        (
            GeneratorTeachesDiscriminator,
            "the gradient of the generator loss must reach only the generator: check 'disc",
        ),
        (
            DiscriminatorTeachesGenerator,
            "the gradient of the discriminator loss must reach only the .*: check 'generator'",
        ),
        (ExchangedLosses, "the gradient of the generator loss must reach only the generator: check 'generator'"),
        (NamelessLoss, r"`compute_generator_loss` returns \['generator'\] without 'loss'"),
        (LoggedGradient, "check 'score'"),
    ],
)
def test_check_model_finds_every_violation_of_an_adversarial_model(model: type[TinyAdversary], violation: str) -> None:
    with pytest.raises(AssertionError, match=violation):
        check_model(model(), BATCH)


# Distributions


class TinyNormal(ConditionalDistribution):
    """N(scale x, 1) with one parameter. Each subclass breaks one property."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Distribution:
        return Independent(Normal(self.compute_mean(x), 1.0), 1)

    def compute_mean(self, x: Tensor) -> Tensor:
        return x * self.scale


class Elementwise(TinyNormal):
    def forward(self, x: Tensor) -> Distribution:
        return Normal(self.compute_mean(x), 1.0)


class NoDistribution(TinyNormal):
    def forward(self, x: Tensor) -> Any:
        return self.compute_mean(x)


class BatchMean(TinyNormal):
    def compute_mean(self, x: Tensor) -> Tensor:
        return (x - x.mean(0)) * self.scale


class Detached(TinyNormal):
    def compute_mean(self, x: Tensor) -> Tensor:
        return super().compute_mean(x).detach()


class HalfDetached(TinyNormal):
    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.ones(()))


class NormalOfInfinitePrecision(Normal):
    def log_prob(self, value: Tensor) -> Tensor:
        return super().log_prob(value) + torch.inf


class InfiniteDensity(TinyNormal):
    def forward(self, x: Tensor) -> Distribution:
        return Independent(NormalOfInfinitePrecision(self.compute_mean(x), 1.0), 1)


class NormalWithElementwiseDensity(Independent):
    def log_prob(self, value: Tensor) -> Tensor:
        return self.base_dist.log_prob(value)


class ElementwiseDensity(TinyNormal):
    def forward(self, x: Tensor) -> Distribution:
        return NormalWithElementwiseDensity(Normal(self.compute_mean(x), 1.0), 1)


class Point(TinyNormal):
    """Deterministic: its value carries the gradient, its density does not."""

    def forward(self, x: Tensor) -> Distribution:
        return Delta(self.compute_mean(x), 1)


class DetachedPoint(Detached):
    def forward(self, x: Tensor) -> Distribution:
        return Delta(self.compute_mean(x), 1)


class BatchPoint(BatchMean):
    def forward(self, x: Tensor) -> Distribution:
        return Delta(self.compute_mean(x), 1)


class Flat(TinyNormal):
    def compute_mean(self, x: Tensor) -> Tensor:
        return super().compute_mean(x)[:, :1]


def test_a_conditional_distribution_that_satisfies_its_contract_passes() -> None:
    check_conditional_distribution(TinyNormal(), torch.rand(4, 3), event_shape=(3,))
    check_conditional_distribution(Point(), torch.rand(4, 3), event_shape=(3,))
    check_conditional_distribution(nn.Sequential(nn.Dropout(), TinyNormal()), torch.rand(4, 3), event_shape=[3])


def test_a_conditional_distribution_without_parameters_passes() -> None:
    class Unit(ConditionalDistribution):
        def forward(self, x: Tensor, y: Tensor) -> Distribution:
            return Independent(Normal(x + y, 1.0), 1)

    check_conditional_distribution(Unit(), torch.rand(4, 3), torch.rand(4, 3), event_shape=(3,))


@pytest.mark.parametrize(
    ("module", "violation"),
    [
        (lambda: lambda x: TinyNormal()(x), "function is not an nn.Module"),
        (NoDistribution, "`forward` returns a Tensor"),
        (Elementwise, r"`forward` has `batch_shape` \(4, 3\), not \(4,\)"),
        (Flat, r"`event_shape` is \(1,\), not \(3,\)"),
        (ElementwiseDensity, r"`log_prob` has shape \(4, 3\)"),
        (InfiniteDensity, "`log_prob` of a sample is not finite"),
        (Detached, "`log_prob` carries no gradient"),
        (HalfDetached, "no gradient of `log_prob` reaches `unused`"),
        (BatchMean, "an example depends on the rest of its batch"),
        (DetachedPoint, "`log_prob` carries no gradient"),
        (BatchPoint, "an example depends on the rest of its batch"),
    ],
)
def test_check_conditional_distribution_finds_every_violation(module: Callable[[], Any], violation: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match=violation):
        check_conditional_distribution(module(), torch.rand(4, 3), event_shape=(3,))


class TinyPrior(MarginalDistribution):
    """A normal distribution of the given shapes, with a learned mean."""

    def __init__(self, batch_shape: tuple[int, ...] = (), event_shape: tuple[int, ...] = (2,)) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(*batch_shape, *event_shape))
        self.n_event_dimensions = len(event_shape)

    def forward(self) -> Distribution:
        return Independent(Normal(self.mean, 1.0), self.n_event_dimensions)


class DetachedPrior(TinyPrior):
    def forward(self) -> Distribution:
        return Independent(Normal(self.mean.detach(), 1.0), 1)


class NoPrior(TinyPrior):
    def forward(self) -> Any:
        return self.mean


def test_a_marginal_distribution_that_satisfies_its_contract_passes() -> None:
    check_marginal_distribution(TinyPrior(), event_shape=(2,))


@pytest.mark.parametrize(
    ("module", "violation"),
    [
        (lambda: lambda: TinyPrior()(), "function is not an nn.Module"),
        (NoPrior, "`forward` returns a Parameter"),
        (lambda: TinyPrior(batch_shape=(1,)), r"`forward` has `batch_shape` \(1,\), not \(\)"),
        (lambda: TinyPrior(event_shape=(3,)), r"`event_shape` is \(3,\), not \(2,\)"),
        (DetachedPrior, "`log_prob` carries no gradient"),
    ],
)
def test_check_marginal_distribution_finds_every_violation(module: Callable[[], Any], violation: str) -> None:
    with pytest.raises(AssertionError, match=violation):
        check_marginal_distribution(module(), event_shape=(2,))


# Evaluations


class TinyEvaluation(Evaluation):
    """Returns a function of the optimization and of the number of evaluations before."""

    def __init__(self, function: Callable[[Any, int], LogEntry]) -> None:
        self.function = function
        self.n_evaluations = 0

    def evaluate(self, optimization: Optimization) -> LogEntry:
        self.n_evaluations += 1
        return self.function(optimization, self.n_evaluations - 1)


GOOD_ENTRIES: dict[EntryType, Callable[[], Any]] = {
    SCALAR_ENTRY: lambda: torch.rand(()),
    SCALARS_ENTRY: lambda: {"one": torch.rand(()), "nan": torch.nan},
    IMAGE_ENTRY: lambda: torch.rand(1, 2, 2),
    PLOT_ENTRY: TinyFigure,
    HISTOGRAM_ENTRY: lambda: torch.rand(3),
    TEXT_ENTRY: lambda: f"{torch.rand(()):.3f}",
    TABLE_ENTRY: lambda: {"number": torch.rand(2).tolist(), "name": ["a", "b"]},
}


@pytest.mark.parametrize("data_type", GOOD_ENTRIES)
def test_an_evaluation_of_every_type_that_satisfies_its_contract_passes(data_type: EntryType) -> None:
    evaluation = TinyEvaluation(lambda optimization, count: LogEntry(data_type, GOOD_ENTRIES[data_type]()))
    assert check_evaluation(evaluation, TinyOptimization()).data_type == data_type


def shift_the_model(optimization: Any, count: int) -> LogEntry:
    optimization.model.shift += 1
    return LogEntry(SCALAR_ENTRY, 0.0)


def leave_a_gradient(optimization: Any, count: int) -> LogEntry:
    with torch.enable_grad():
        optimization.model.compute_loss(BATCH, 0)["loss"].backward()
    return LogEntry(SCALAR_ENTRY, 0.0)


def count_an_iteration(optimization: Any, count: int) -> LogEntry:
    optimization.counters["iteration"] += 1
    return LogEntry(SCALAR_ENTRY, 0.0)


@pytest.mark.parametrize(
    ("function", "violation"),
    [
        (shift_the_model, "the model changed"),
        (leave_a_gradient, "a gradient changed"),
        (count_an_iteration, "a counter changed"),
        (
            lambda _, count: LogEntry((SCALAR_ENTRY, HISTOGRAM_ENTRY)[count], torch.zeros(1)),
            "the second a histogram entry",
        ),
        (lambda _, count: LogEntry(SCALAR_ENTRY, count), "the second evaluation returned another value"),
        (lambda _, count: LogEntry(SCALARS_ENTRY, {"one": count}), "the second evaluation returned another value"),
        (lambda _, count: LogEntry(SCALARS_ENTRY, {str(count): 0.0}), "the second evaluation returned another value"),
        (lambda _, count: LogEntry(IMAGE_ENTRY, torch.ones(1, 2, 2) * count), "the second evaluation returned"),
        (lambda _, count: LogEntry(HISTOGRAM_ENTRY, torch.tensor(count)), "the second evaluation returned"),
        (lambda _, count: LogEntry(TEXT_ENTRY, str(count)), "the second evaluation returned another value"),
        (lambda _, count: LogEntry(TABLE_ENTRY, {"a": [count]}), "the second evaluation returned another value"),
    ],
)
def test_check_evaluation_finds_every_violation(function: Callable[[Any, int], LogEntry], violation: str) -> None:
    with pytest.raises(AssertionError, match=violation):
        check_evaluation(TinyEvaluation(function), TinyOptimization())


def test_check_evaluation_finds_a_gradient_that_was_changed_in_place() -> None:
    optimization = TinyOptimization()
    optimization.model.compute_loss(BATCH, 0)["loss"].backward()
    with pytest.raises(AssertionError, match="a gradient changed"):
        check_evaluation(TinyEvaluation(leave_a_gradient), optimization)


def test_check_evaluation_requires_an_evaluation() -> None:
    broken: Any = object()
    with pytest.raises(AssertionError, match="object is not an Evaluation"):
        check_evaluation(broken, TinyOptimization())


def test_check_evaluation_requires_an_entry() -> None:
    broken: Any = TinyEvaluation(lambda optimization, count: 0.0)
    with pytest.raises(TypeError, match="must return a `LogEntry`"):
        check_evaluation(broken, TinyOptimization())


# Loggers


class ListLogger:
    """Stores what is logged in a list."""

    def __init__(self) -> None:
        self.logged: list[tuple[str, int]] = []

    def log(
        self,
        name: str,
        log_entry: LogEntry,
        global_step: int | None = None,
        counters: Mapping[str, int] | None = None,
    ) -> None:
        names = [f"{name}/{key}" for key in log_entry.value] if log_entry.data_type == SCALARS_ENTRY else [name]
        self.logged.extend((full_name, global_step or 0) for full_name in names)

    def read(self) -> list[tuple[str, int]]:
        return self.logged


class SortedLogger(ListLogger):
    def read(self) -> list[tuple[str, int]]:
        return sorted(self.logged)


class UniqueLogger(ListLogger):
    def read(self) -> list[tuple[str, int]]:
        return list(dict.fromkeys(self.logged))


class PlotlessLogger(ListLogger):
    def log(
        self, name: str, log_entry: LogEntry, global_step: int | None = None, counters: Mapping[str, int] | None = None
    ) -> None:
        if log_entry.data_type != PLOT_ENTRY:
            super().log(name, log_entry, global_step, counters)


class StepLogger(ListLogger):
    def log(
        self, name: str, log_entry: LogEntry, global_step: int | None = None, counters: Mapping[str, int] | None = None
    ) -> None:
        if global_step is not None:
            super().log(name, log_entry, global_step, counters)


class ChattyLogger(ListLogger):
    def read(self) -> list[tuple[str, int]]:
        return [*self.logged, ("Something else", 0)]


def test_a_logger_that_satisfies_its_contract_passes() -> None:
    logger = ListLogger()
    check_logger(logger, logger.read, TinyFigure())


@pytest.mark.parametrize(
    ("logger_class", "violation"),
    [
        (SortedLogger, r"read back at \[0, 5, 10, 10\]"),
        (UniqueLogger, r"read back at \[0, 10, 5\]"),
        (PlotlessLogger, r"'Plot' was logged at steps 0, 10, 10, 5 and read back at \[\]"),
        (StepLogger, "an entry without a step was dropped"),
        (ChattyLogger, "40 values were logged, 41 were read back"),
    ],
)
def test_check_logger_finds_every_violation(logger_class: type[ListLogger], violation: str) -> None:
    logger = logger_class()
    with pytest.raises(AssertionError, match=violation):
        check_logger(logger, logger.read, TinyFigure())


def test_check_logger_requires_a_logger() -> None:
    broken: Any = object()
    with pytest.raises(AssertionError, match="object has no method `log`"):
        check_logger(broken, list, TinyFigure())
