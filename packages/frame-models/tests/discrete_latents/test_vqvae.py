from math import log

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, Normal

from frame_core import Delta
from frame_models import CodePrior, VectorQuantizedVariationalAutoencoder
from frame_models.discrete_latents.vqvae import compute_perplexity

CODES = torch.tensor([-1.0, 0.0, 2.0])


class Encoder(nn.Module):
    """Two vectors of one dimension: each entry of x, multiplied by a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.8))

    def forward(self, x: Tensor) -> Distribution:
        return Delta(self.weight * x.unsqueeze(-1), 2)


class Decoder(nn.Module):
    """x | z ~ N(slope z, 1) in each entry."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(1.5))

    def forward(self, z: Tensor) -> Distribution:
        return Independent(Normal(self.slope * z.squeeze(-1), 1.0), 1)


class Codebook(nn.Module):
    n_codes = 3

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        codes = (z.detach() - CODES).abs().argmin(-1)
        return CODES[codes].unsqueeze(-1), codes

    def get_vectors(self, codes: Tensor) -> Tensor:
        return CODES[codes].unsqueeze(-1)


class CodeFrequencies(nn.Module):
    """Independent codes, with the same frequencies in both places."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([0.2, 0.5, 0.3]).log())

    def forward(self) -> Distribution:
        return Independent(Categorical(logits=self.logits.expand(2, 3)), 1)


class ElementwiseDecoder(nn.Module):
    def forward(self, z: Tensor) -> Distribution:
        return Normal(z.squeeze(-1), 1.0)


X = torch.tensor([[1.0, 3.0], [-2.0, 0.1], [0.3, 0.2]])
Z = 0.8 * X
Z_Q = torch.tensor([[0.0, 2.0], [-1.0, 0.0], [0.0, 0.0]])
"""The nearest codes of 0.8, 2.4; -1.6, 0.08; 0.24, 0.16."""


def make_model(commitment: float = 0.25) -> VectorQuantizedVariationalAutoencoder:
    return VectorQuantizedVariationalAutoencoder(Encoder(), Decoder(), Codebook(), commitment)


def test_the_loss_is_the_reconstruction_and_the_weighted_commitment_by_hand() -> None:
    quantities = make_model(0.3).compute_loss({"x": X}, 0)
    reconstruction = ((X - 1.5 * Z_Q) ** 2 / 2 + log(2 * torch.pi) / 2).sum(1).mean()
    commitment = ((Z - Z_Q) ** 2).sum(1).mean()
    torch.testing.assert_close(quantities["reconstruction"], reconstruction)
    torch.testing.assert_close(quantities["commitment"], commitment)
    torch.testing.assert_close(quantities["loss"].detach(), reconstruction + 0.3 * commitment)


def test_the_gradient_passes_straight_through_the_codebook() -> None:
    model = make_model(0.3)
    (gradient,) = torch.autograd.grad(model.compute_loss({"x": X}, 0)["loss"], list(model.encoder.parameters()))
    slopes = -1.5 * (X - 1.5 * Z_Q)  # of the reconstruction, at z_q
    committing = 2 * (Z - Z_Q)
    expected = ((slopes + 0.3 * committing) * X).sum(1).mean()  # dz / d weight is x
    torch.testing.assert_close(gradient, expected)


def test_the_lower_bound_has_a_uniform_prior_over_the_codes() -> None:
    model = make_model()
    terms = model.compute_loss_components({"x": X})
    torch.testing.assert_close(terms["regularization"], torch.tensor(2 * log(3)))
    torch.testing.assert_close(terms["reconstruction"], model.compute_loss({"x": X}, 0)["reconstruction"])


def test_the_lower_bound_is_below_the_evidence() -> None:
    codes = torch.cartesian_prod(CODES, CODES)  # all nine representations
    model = make_model()
    log_likelihoods = torch.stack([model.decode(z.view(1, 2, 1)).log_prob(X) for z in codes])
    evidence = (log_likelihoods.logsumexp(0) - log(9)).mean()
    terms = model.compute_loss_components({"x": X})
    assert -(terms["reconstruction"] + terms["regularization"]) < evidence


def test_the_representation_is_quantized() -> None:
    q_z = make_model().encode(X)
    assert (q_z.batch_shape, q_z.event_shape) == ((3,), (2, 1))
    assert torch.equal(q_z.mean, Z_Q.unsqueeze(-1))


def test_a_reconstruction_is_the_mean_at_the_quantized_representation() -> None:
    torch.testing.assert_close(make_model().reconstruct({"x": X}), 1.5 * Z_Q)


def test_the_perplexity_is_the_number_of_codes_in_equal_use() -> None:
    codes = torch.tensor([[0, 4], [7, 7]])  # frequencies of 1/4, 1/4, 1/2
    torch.testing.assert_close(compute_perplexity(codes, 9), torch.tensor(2.0**1.5))
    torch.testing.assert_close(compute_perplexity(torch.arange(9), 9), torch.tensor(9.0))
    indices = torch.tensor([[1, 2], [0, 1], [1, 1]])  # of `Z_Q` in `CODES`
    torch.testing.assert_close(make_model().compute_loss({"x": X}, 0)["perplexity"], compute_perplexity(indices, 3))


def test_a_decoder_that_would_broadcast_is_refused() -> None:
    model = VectorQuantizedVariationalAutoencoder(Encoder(), ElementwiseDecoder(), Codebook())
    with pytest.raises(ValueError, match=r"`decoder` must .* batch shape \(3,\) and event shape \(2,\), got \(3, 2\)"):
        model.compute_loss({"x": X}, 0)


def test_a_negative_commitment_is_refused() -> None:
    with pytest.raises(ValueError, match="`commitment` must be non-negative, got -1"):
        make_model(-1)


# The prior over the codes


def test_the_loss_of_the_prior_is_minus_the_log_probability_of_the_codes() -> None:
    model = CodePrior(make_model(), CodeFrequencies())
    frequencies = torch.tensor([[0.5, 0.3], [0.2, 0.5], [0.5, 0.5]])  # of the codes of `Z_Q`
    expected = -frequencies.log().sum(1).mean()
    torch.testing.assert_close(model.compute_loss({"x": X}, 0)["loss"].detach(), expected)
    terms = model.compute_loss_components({"x": X})
    torch.testing.assert_close(terms["regularization"].detach(), expected)
    torch.testing.assert_close(
        terms["reconstruction"], make_model().compute_loss_components({"x": X})["reconstruction"].detach()
    )


def test_samples_are_decoded_from_codes_of_the_prior() -> None:
    torch.manual_seed(0)
    x = CodePrior(make_model(), CodeFrequencies()).sample(torch.Size([50_000])) / 1.5
    for code, frequency in zip(CODES, (0.2, 0.5, 0.3)):
        found = (x == code).float().mean(0)
        assert ((found - frequency).abs() < 4 * (frequency * (1 - frequency) / 50_000) ** 0.5).all()


def test_the_prior_does_not_train_the_autoencoder() -> None:
    model = CodePrior(make_model(), CodeFrequencies()).train()
    assert not model.autoencoder.training
    model.compute_loss({"x": X}, 0)["loss"].backward()
    assert all(parameter.grad is None for parameter in model.autoencoder.parameters())
