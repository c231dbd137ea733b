from collections.abc import Mapping
from math import log, nan, sqrt

import pytest
import torch
import zuko
from torch import Tensor, nn
from torch.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from frame_core import LinearWarmup
from frame_core.testing import check_conditional_distribution, check_marginal_distribution, check_model
from frame_models import VariationalAutoencoder

X_DIM = 3
WEIGHT = torch.tensor([[1.0, 0.5], [-0.3, 2.0], [0.7, -0.4]])
BIAS = torch.tensor([0.5, -1.0, 0.2])
NOISE = 0.6


class StandardNormal(nn.Module):
    def __init__(self, z_dim: int = 2) -> None:
        super().__init__()
        self.z_dim = z_dim

    def forward(self) -> Distribution:
        return Independent(Normal(torch.zeros(self.z_dim), 1.0), 1)


class StandardNormalWithCovariance(nn.Module):
    """The same distribution, as a type for which torch registers the divergence from `ExactPosterior`."""

    def forward(self) -> Distribution:
        return MultivariateNormal(torch.zeros(2), torch.eye(2))


class LinearDecoder(nn.Module):
    """x | z ~ N(Wz + b, s^2)."""

    def forward(self, z: Tensor) -> Distribution:
        return Independent(Normal(z @ WEIGHT.T + BIAS, NOISE), 1)


class ExactPosterior(nn.Module):
    """z | x ~ N(S W^T (x - b) / s^2, S) with S = (1 + W^T W / s^2)^-1 (Bishop, 2006, equation 2.116)."""

    def forward(self, x: Tensor) -> Distribution:
        covariance = torch.linalg.inv(torch.eye(2) + WEIGHT.T @ WEIGHT / NOISE**2)
        return MultivariateNormal((x - BIAS) @ WEIGHT @ covariance / NOISE**2, covariance)


class Gaussian(nn.Module):
    """A small network as a user would write it."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_inputs, n_outputs)
        self.log_scale = nn.Parameter(torch.full((n_outputs,), -0.5))

    def forward(self, condition: Tensor) -> Distribution:
        return Independent(Normal(self.linear(condition), self.log_scale.exp()), 1)


class ElementwiseGaussian(nn.Module):
    """Lacks the `Independent` that makes the dimensions of one example an event."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_inputs, n_outputs)

    def forward(self, condition: Tensor) -> Distribution:
        return Normal(self.linear(condition), 1.0)


class ElementwiseStandardNormal(nn.Module):
    def forward(self) -> Distribution:
        return Normal(torch.zeros(2), 1.0)


class DiscreteEncoder(nn.Module):
    def forward(self, x: Tensor) -> Distribution:
        return Independent(Bernoulli(logits=x[..., :2]), 1)


class ShiftedPosterior(nn.Module):
    """q(z | x) = N(x / 2 + shift, 1 / 2), which is exact for x | z ~ N(z, 1) if the shift is zero."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(shift))

    def forward(self, x: Tensor) -> Distribution:
        return Independent(Normal(x / 2 + self.shift, sqrt(0.5)), 1)


class UnitNoiseDecoder(nn.Module):
    def forward(self, z: Tensor) -> Distribution:
        return Independent(Normal(z, 1.0), 1)


def evidence() -> Distribution:
    """Return the distribution x ~ N(b, W W^T + s^2)."""
    return MultivariateNormal(BIAS, WEIGHT @ WEIGHT.T + NOISE**2 * torch.eye(X_DIM))


def make_model(beta: float = 1.0) -> VariationalAutoencoder:
    return VariationalAutoencoder(Gaussian(X_DIM, 2), Gaussian(2, X_DIM), StandardNormal(), beta=beta)


def test_lower_bound_equals_log_evidence_when_the_posterior_is_exact() -> None:
    # torch registers no divergence between the two types, so the bound is log p(x | z) + log p(z) - log q(z | x),
    # which is log p(x) for every z: there is no sampling error.
    model = VariationalAutoencoder(ExactPosterior(), LinearDecoder(), StandardNormal())
    x = torch.randn(64, X_DIM)
    terms = model.compute_loss_components({"x": x})
    bound = -(terms["reconstruction"] + terms["regularization"])
    torch.testing.assert_close(bound, evidence().log_prob(x).mean())


def test_lower_bound_with_a_divergence_in_closed_form_is_the_log_evidence_on_average() -> None:
    torch.manual_seed(0)
    model = VariationalAutoencoder(ExactPosterior(), LinearDecoder(), StandardNormalWithCovariance())
    x = torch.randn(1, X_DIM).expand(1000, X_DIM)
    bounds = -torch.stack([model.compute_loss({"x": x}, 0)["loss"] for _ in range(50)])
    standard_error = bounds.std() / sqrt(len(bounds))
    assert (bounds.mean() - evidence().log_prob(x[0])).abs() < 4 * standard_error


def test_lower_bound_misses_the_log_evidence_by_the_divergence_from_the_exact_posterior() -> None:
    torch.manual_seed(0)
    shift = 0.7
    model = VariationalAutoencoder(ShiftedPosterior(shift), UnitNoiseDecoder(), StandardNormal(1))
    x = torch.randn(1, 1).expand(100_000, 1)
    bound = -model.compute_loss({"x": x}, 0)["loss"]
    log_evidence = Normal(0.0, sqrt(2.0)).log_prob(x[0, 0])
    gap = shift**2 / (2 * 0.5)  # KL of two normal distributions of variance 1 / 2
    # log p(x | z) has a standard deviation below 2 over z
    assert (bound - (log_evidence - gap)).abs() < 4 * 2 / sqrt(len(x))


def test_gradient_of_the_encoder_flows_through_the_samples() -> None:
    torch.manual_seed(0)
    encoder = ShiftedPosterior(0.3)
    model = VariationalAutoencoder(encoder, UnitNoiseDecoder(), StandardNormal(1))
    x = torch.randn(100_000, 1)
    model.compute_loss({"x": x}, 0)["loss"].backward()
    assert encoder.shift.grad is not None
    # With m = x / 2 + shift, the derivative of E_q[(x - z)^2] / 2 + m^2 / 2 is (m - x) + m = 2 shift.
    # Its one-sample estimate has the variance of z.
    assert (encoder.shift.grad - 0.6).abs() < 4 * sqrt(0.5 / len(x))


@pytest.mark.parametrize("beta", [0.0, 0.1, 4.0])
def test_loss_is_the_reconstruction_and_beta_times_the_regularization(beta: float) -> None:
    quantities = make_model(beta).compute_loss({"x": torch.randn(16, X_DIM)}, 0)
    assert list(quantities) == ["loss", "reconstruction", "regularization"]
    expected = quantities["reconstruction"] + beta * quantities["regularization"]
    torch.testing.assert_close(quantities["loss"].detach(), expected)


def test_regularization_is_the_divergence_in_closed_form() -> None:
    model = make_model()
    x = torch.randn(16, X_DIM)
    q_z = model.encode(x)
    mean, variance = q_z.mean, q_z.variance
    expected = 0.5 * (variance + mean**2 - 1 - variance.log()).sum(-1).mean()  # Kingma & Welling, appendix B
    torch.testing.assert_close(model.compute_loss_components({"x": x})["regularization"], expected)


def test_regularization_without_a_closed_form_is_estimated() -> None:
    torch.manual_seed(0)
    model = VariationalAutoencoder(ExactPosterior(), LinearDecoder(), StandardNormal())
    x = torch.randn(1, X_DIM).expand(1000, X_DIM)
    expected = kl_divergence(ExactPosterior()(x[0]), StandardNormalWithCovariance()())
    estimates = torch.stack([model.compute_loss_components({"x": x})["regularization"] for _ in range(50)])
    standard_error = estimates.std() / sqrt(len(estimates))
    assert (estimates.mean() - expected).abs() < 4 * standard_error


@pytest.mark.parametrize("n_samples", [1, 7])
def test_every_weight_is_the_evidence_when_the_posterior_is_exact(n_samples: int) -> None:
    model = VariationalAutoencoder(ExactPosterior(), LinearDecoder(), StandardNormal())
    x = torch.randn(5, X_DIM)
    expected = evidence().log_prob(x).expand(n_samples, 5)
    torch.testing.assert_close(
        model.compute_log_weights({"x": x}, n_samples), expected, rtol=1e-5, atol=1e-4
    )  # float32


def test_weights_are_one_over_the_evidence_away_from_one_on_average() -> None:
    torch.manual_seed(0)
    model = VariationalAutoencoder(ShiftedPosterior(0.2), UnitNoiseDecoder(), StandardNormal(1))
    x = torch.tensor([[-0.5], [1.0]])
    log_evidence = Normal(0.0, sqrt(2.0)).log_prob(x.squeeze(1))
    ratios = (model.compute_log_weights({"x": x}, 100_000).detach() - log_evidence).exp()
    assert ((ratios.mean(0) - 1).abs() < 4 * ratios.std(0) / sqrt(100_000)).all()


class LearnedPosterior(nn.Module):
    """q(z | x) = N(slope x, scale^2), which is exact for x | z ~ N(z, 1) at slope 1 / 2 and variance 1 / 2."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(0.0))
        self.log_scale = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor) -> Distribution:
        return Independent(Normal(self.slope * x, self.log_scale.exp()), 1)


def test_training_on_the_importance_weighted_bound_makes_the_posterior_exact() -> None:
    torch.manual_seed(0)
    posterior = LearnedPosterior()
    model = VariationalAutoencoder(posterior, UnitNoiseDecoder(), StandardNormal(1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(200):
        log_weights = model.compute_log_weights({"x": sqrt(2) * torch.randn(256, 1)}, 5)
        optimizer.zero_grad()
        (log(5) - log_weights.logsumexp(0)).mean().backward()
        optimizer.step()
    # the gradient vanishes at the exact posterior, where every weight is the evidence
    assert posterior.slope.item() == pytest.approx(0.5, abs=0.05)
    assert posterior.log_scale.exp().item() == pytest.approx(sqrt(0.5), abs=0.05)


class UntrainableWeights(VariationalAutoencoder):
    """Samples z without a gradient, so that an importance-weighted loss is minimized by another posterior."""

    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        q_z = self.encode(data["x"])
        z = q_z.sample(torch.Size([n_samples]))
        return self.prior().log_prob(z) + self.decoder(z).log_prob(data["x"]) - q_z.log_prob(z)


def test_weights_that_leave_out_the_gradient_of_the_samples_violate_the_contract() -> None:
    x = {"x": torch.randn(4, X_DIM)}
    check_model(VariationalAutoencoder(Gaussian(X_DIM, 2), Gaussian(2, X_DIM), StandardNormal()), x)
    with pytest.raises(AssertionError, match=r"gradient of `compute_log_weights` for `encoder\.\S+` is .*`rsample`"):
        check_model(UntrainableWeights(Gaussian(X_DIM, 2), Gaussian(2, X_DIM), StandardNormal()), x)


def test_decode_returns_the_likelihood() -> None:
    z = torch.randn(5, 2)
    model = VariationalAutoencoder(ExactPosterior(), LinearDecoder(), StandardNormal())
    torch.testing.assert_close(model.decode(z).mean, z @ WEIGHT.T + BIAS)


def test_encode_returns_the_posterior() -> None:
    x = torch.randn(5, X_DIM)
    torch.testing.assert_close(
        VariationalAutoencoder(ExactPosterior(), LinearDecoder(), StandardNormal()).encode(x).mean,
        ExactPosterior()(x).mean,
    )


def test_reconstruction_is_the_mean_of_the_output_at_the_mean_of_the_posterior() -> None:
    model = VariationalAutoencoder(ExactPosterior(), LinearDecoder(), StandardNormal())
    x = torch.randn(5, X_DIM)
    torch.testing.assert_close(model.reconstruct({"x": x}), ExactPosterior()(x).mean @ WEIGHT.T + BIAS)


@pytest.mark.parametrize(
    ("sample_latents", "sample_output", "from_latents", "from_output"),
    [(False, False, 0, 0), (True, False, 1, 0), (False, True, 0, 1), (True, True, 1, 1)],
)
def test_reconstruction_varies_with_what_is_sampled(
    sample_latents: bool, sample_output: bool, from_latents: int, from_output: int
) -> None:
    torch.manual_seed(0)
    model = VariationalAutoencoder(ExactPosterior(), LinearDecoder(), StandardNormal())
    n_data = 100_000
    x = torch.randn(1, X_DIM).expand(n_data, X_DIM)
    reconstructions = model.reconstruct({"x": x}, sample_latents=sample_latents, sample_output=sample_output)
    covariance = ExactPosterior()(x[:1]).covariance_matrix.squeeze(0)
    expected = (from_latents * WEIGHT @ covariance @ WEIGHT.T).diagonal() + from_output * NOISE**2
    standard_error = expected * sqrt(2 / n_data)  # of the variance of normal samples
    assert ((reconstructions.var(dim=0) - expected).abs() <= 4 * standard_error + 1e-6).all()


def test_samples_follow_the_evidence() -> None:
    torch.manual_seed(0)
    model = VariationalAutoencoder(ExactPosterior(), LinearDecoder(), StandardNormal())
    n_samples = 100_000
    x = model.sample(torch.Size([n_samples]), sample_output=True)
    covariance = WEIGHT @ WEIGHT.T + NOISE**2 * torch.eye(X_DIM)
    variance = covariance.diagonal()
    assert ((x.mean(0) - BIAS).abs() < 4 * (variance / n_samples).sqrt()).all()
    standard_error = ((variance.outer(variance) + covariance**2) / n_samples).sqrt()
    assert ((x.T.cov() - covariance).abs() < 4 * standard_error).all()


def test_sampled_means_exclude_the_noise() -> None:
    torch.manual_seed(0)
    model = VariationalAutoencoder(ExactPosterior(), LinearDecoder(), StandardNormal())
    n_samples = 100_000
    variance = (WEIGHT @ WEIGHT.T).diagonal()
    error = (model.sample(torch.Size([n_samples])).var(dim=0) - variance).abs()
    assert (error < 4 * variance * sqrt(2 / n_samples)).all()


def test_training_reaches_the_evidence_of_linear_data() -> None:
    torch.manual_seed(0)
    model = make_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for step in range(200):
        optimizer.zero_grad()
        model.compute_loss({"x": evidence().sample(torch.Size([256]))}, step)["loss"].backward()
        optimizer.step()
    x = evidence().sample(torch.Size([10_000]))
    with torch.no_grad():
        bound = -model.compute_loss({"x": x}, 0)["loss"]
    entropy = evidence().entropy()
    # The bound exceeds the log evidence at most by the noise of 10,000 examples; training may miss it by 0.2 nats.
    assert -entropy - 0.2 < bound < -entropy + 4 * sqrt(X_DIM / len(x))


class PosteriorOfPoints(nn.Module):
    """1/2 sum_k q(z | u_k), a prior that shares the encoder of its model."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.points = nn.Parameter(torch.randn(2, X_DIM))

    def forward(self) -> Distribution:
        return MixtureSameFamily(Categorical(torch.ones(2)), self.encoder(self.points))


def test_a_prior_may_share_the_encoder() -> None:
    encoder = Gaussian(X_DIM, 2)
    model = VariationalAutoencoder(encoder, Gaussian(2, X_DIM), PosteriorOfPoints(encoder))
    check_model(model, {"x": torch.randn(4, X_DIM)})
    # one pseudo-input per example: q(z | x) is the prior if both are the example
    model.prior.get_parameter("points").data.fill_(0.3)
    terms = model.compute_loss_components({"x": torch.full((1, X_DIM), 0.3)})
    torch.testing.assert_close(terms["regularization"], torch.zeros(()))


def test_zuko_flow_is_a_prior() -> None:
    prior = zuko.flows.NSF(features=2, transforms=1, hidden_features=(8,))
    check_marginal_distribution(prior, event_shape=(2,))
    check_model(VariationalAutoencoder(Gaussian(X_DIM, 2), Gaussian(2, X_DIM), prior), {"x": torch.randn(4, X_DIM)})


def test_zuko_lazy_distribution_is_a_prior_with_a_divergence_in_closed_form() -> None:
    prior = zuko.lazy.UnconditionalDistribution(
        zuko.distributions.DiagNormal, torch.zeros(2), torch.ones(2), buffer=True
    )
    model = make_model()
    x = torch.randn(4, X_DIM)
    expected = model.compute_loss_components({"x": x})["regularization"]
    model.prior = prior
    check_model(model, {"x": x})
    torch.testing.assert_close(model.compute_loss_components({"x": x})["regularization"], expected)


def test_zuko_flow_is_a_posterior() -> None:
    encoder = zuko.flows.MAF(features=2, context=X_DIM, transforms=2, hidden_features=(8,))
    x = torch.randn(4, X_DIM)
    check_conditional_distribution(encoder, x, event_shape=(2,))
    model = VariationalAutoencoder(encoder, Gaussian(2, X_DIM), zuko.flows.NSF(features=2, transforms=1))
    model.compute_loss({"x": x}, 0)["loss"].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert model.reconstruct({"x": x}, sample_latents=True).shape == x.shape
    assert model.sample(torch.Size([6])).shape == (6, X_DIM)


def test_zuko_flow_as_posterior_has_no_mean_and_the_error_names_the_option_to_set() -> None:
    encoder = zuko.flows.MAF(features=2, context=X_DIM, transforms=1, hidden_features=(8,))
    model = VariationalAutoencoder(encoder, Gaussian(2, X_DIM), StandardNormal())
    with pytest.raises(TypeError, match="`NormalizingFlow` has no mean: set `sample_latents` to True"):
        model.reconstruct({"x": torch.randn(4, X_DIM)})


def test_zuko_flow_as_likelihood_has_no_mean_and_the_error_names_the_option_to_set() -> None:
    decoder = zuko.flows.MAF(features=X_DIM, context=2, transforms=1, hidden_features=(8,))
    model = VariationalAutoencoder(Gaussian(X_DIM, 2), decoder, StandardNormal())
    assert model.sample(torch.Size([6]), sample_output=True).shape == (6, X_DIM)
    with pytest.raises(TypeError, match="set `sample_output` to True"):
        model.sample(torch.Size([6]))


def test_beta_may_be_a_schedule_whose_current_value_is_used() -> None:
    model = VariationalAutoencoder(
        Gaussian(X_DIM, 2), Gaussian(2, X_DIM), StandardNormal(), beta=LinearWarmup(0.0, 2.0, over="5 epochs")
    )
    x = torch.randn(16, X_DIM)
    for fraction, beta in ((0.0, 0.0), (0.25, 0.5), (3.0, 2.0)):
        model.get_submodule("beta").advance_to(fraction)
        quantities = model.compute_loss({"x": x}, 0)
        expected = quantities["reconstruction"] + beta * quantities["regularization"]
        torch.testing.assert_close(quantities["loss"].detach(), expected)
    check_model(model, {"x": x})


@pytest.mark.parametrize("beta", [-1.0, nan])
def test_negative_beta_is_refused(beta: float) -> None:
    with pytest.raises(ValueError, match=rf"^`beta` must be non-negative, got {beta!r}\.$"):
        make_model(beta)


def compute_divergences(model: VariationalAutoencoder, x: Tensor) -> Tensor:
    """Return the divergence of each dimension from N(0, 1), averaged over the batch (Kingma & Welling, appendix B)."""
    q_z = model.encode(x)
    return 0.5 * (q_z.variance + q_z.mean**2 - 1 - q_z.variance.log()).mean(0)


def compute_penalty(model: VariationalAutoencoder, x: Tensor) -> Tensor:
    quantities = model.compute_loss({"x": x}, 0)
    return (quantities["loss"] - quantities["reconstruction"]).detach()


def test_free_bits_leave_small_divergences_alone() -> None:
    model, x = make_model(beta=0.5), torch.randn(16, X_DIM)
    small, large = compute_divergences(model, x).detach().sort().values
    for free, expected in (
        (small / 2, small + large),
        ((small + large) / 2, (small + 3 * large) / 2),
        (2 * large, 4 * large),
    ):
        model.free_bits = free.item()
        torch.testing.assert_close(compute_penalty(model, x), 0.5 * expected)


def test_each_dimension_may_have_a_weight_or_a_schedule_of_its_own() -> None:
    schedule = LinearWarmup(0.0, 2.0, over="5 epochs")
    model = VariationalAutoencoder(Gaussian(X_DIM, 2), Gaussian(2, X_DIM), StandardNormal(), beta=[0.3, schedule])
    x = torch.randn(16, X_DIM)
    assert schedule in model.modules()  # so that it is advanced and stored
    for fraction in (0.0, 0.5, 1.0):
        schedule.advance_to(fraction)
        expected = compute_divergences(model, x).detach() @ torch.tensor([0.3, 2 * fraction])
        torch.testing.assert_close(compute_penalty(model, x), expected)
    check_model(model, {"x": x})


def test_a_sampled_divergence_is_that_in_closed_form_on_average() -> None:
    torch.manual_seed(0)
    model = VariationalAutoencoder(Gaussian(X_DIM, 2), Gaussian(2, X_DIM), StandardNormal(), closed_form=False)
    x = torch.randn(1, X_DIM).expand(50_000, X_DIM)
    q_z, z = model.encode(x), model.encode(x).sample()
    spread = (q_z.log_prob(z) - StandardNormal()().log_prob(z)).std()
    expected = compute_divergences(model, x).sum()
    penalty = compute_penalty(model, x)
    assert 0 < (penalty - expected).abs() < 4 * spread / sqrt(len(x))
    check_model(model, {"x": x[:4]})


def test_weights_of_dimensions_are_refused_without_independent_dimensions() -> None:
    model = VariationalAutoencoder(ExactPosterior(), LinearDecoder(), StandardNormal(), beta=[1.0, 2.0])
    with pytest.raises(TypeError, match="`encoder` must return a distribution with independent dimensions"):
        model.compute_loss({"x": torch.randn(4, X_DIM)}, 0)


def test_a_wrong_number_of_weights_is_refused() -> None:
    model = VariationalAutoencoder(Gaussian(X_DIM, 2), Gaussian(2, X_DIM), StandardNormal(), beta=[1.0])
    with pytest.raises(ValueError, match="`beta` must have one number for each of the 2 latent dimensions, got 1"):
        model.compute_loss({"x": torch.randn(4, X_DIM)}, 0)


def test_a_negative_weight_of_a_dimension_is_named() -> None:
    with pytest.raises(ValueError, match=r"^`beta\[1\]` must be non-negative, got -1.0\.$"):
        VariationalAutoencoder(Gaussian(X_DIM, 2), Gaussian(2, X_DIM), StandardNormal(), beta=[1.0, -1.0])


def test_encoder_that_cannot_be_reparameterized_is_refused() -> None:
    model = VariationalAutoencoder(DiscreteEncoder(), Gaussian(2, X_DIM), StandardNormal())
    with pytest.raises(TypeError, match=r"`encoder` must .* reparameterized .*Independent\(Bernoulli"):
        model.compute_loss({"x": torch.randn(4, X_DIM)}, 0)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            VariationalAutoencoder(ElementwiseGaussian(X_DIM, 2), Gaussian(2, X_DIM), StandardNormal()),
            r"`encoder` must .* batch shape \(4,\) and event shape \(2,\), got \(4, 2\) and \(\); .*Independent",
        ),
        (
            VariationalAutoencoder(Gaussian(X_DIM, 2), ElementwiseGaussian(2, X_DIM), StandardNormal()),
            r"`decoder` must .* batch shape \(4,\) and event shape \(3,\), got \(4, 3\) and \(\); .*Independent",
        ),
        (
            VariationalAutoencoder(Gaussian(X_DIM, 2), Gaussian(2, X_DIM), ElementwiseStandardNormal()),
            r"`prior` must .* batch shape \(\) and event shape \(2,\), got \(2,\) and \(\); .*Independent",
        ),
        (
            VariationalAutoencoder(Gaussian(X_DIM, 2), Gaussian(2, X_DIM), StandardNormal(1)),
            r"`prior` must .* event shape \(2,\), got \(\) and \(1,\)",
        ),
        (
            VariationalAutoencoder(Gaussian(X_DIM, 2), Gaussian(2, 1), StandardNormal()),
            r"`decoder` must .* event shape \(3,\), got \(4,\) and \(1,\)",
        ),
    ],
    ids=["encoder", "decoder", "prior", "another z_dim", "another x_shape"],
)
def test_distributions_that_would_broadcast_are_refused(model: VariationalAutoencoder, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.compute_loss({"x": torch.randn(4, X_DIM)}, 0)
