from math import log, pi
from typing import Any

import pytest
import torch
from torch.distributions import Independent, MixtureSameFamily, Normal
from torch.nn.functional import softplus

from frame_architectures import DiagonalNormal, MixtureOfGaussians, VampPrior, digits
from frame_core import kl_divergence


def test_log_density_is_that_of_the_standard_normal() -> None:
    z = torch.randn(6, 3)
    torch.testing.assert_close(DiagonalNormal(3)().log_prob(z), -(z**2 + torch.tensor(2 * pi).log()).sum(-1) / 2)


def test_there_are_no_trainable_parameters() -> None:
    assert list(DiagonalNormal(3).parameters()) == []


def test_prior_can_be_moved_to_another_device_and_type() -> None:
    assert DiagonalNormal(3).to("meta")().sample().device.type == "meta"
    assert DiagonalNormal(3).double()().sample().dtype == torch.double


@pytest.mark.parametrize(("z_dim", "error"), [(0, ValueError), (-2, ValueError), ("3", TypeError), (3.0, TypeError)])
def test_bad_sizes_are_refused(z_dim: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"`z_dim` must be .*, got {z_dim!r}"):
        DiagonalNormal(z_dim)


def test_log_density_of_a_mixture_is_that_of_the_sum_over_its_components() -> None:
    prior, z = MixtureOfGaussians(3, n_components=4), torch.randn(6, 3)
    prior.logits.data.normal_()
    prior.raw_scale.data.normal_()
    weights, scale = prior.logits.softmax(0), softplus(prior.raw_scale) + 1e-3
    distance = (z[:, None] - prior.loc) / scale
    densities = (-(distance**2 + log(2 * pi)) / 2 - scale.log()).sum(-1).exp()
    expected = (weights * densities).sum(-1).log()
    torch.testing.assert_close(prior().log_prob(z), expected)


def test_a_mixture_integrates_to_one() -> None:
    prior = MixtureOfGaussians(1, n_components=5)
    z = torch.linspace(-20, 20, 20_001)
    torch.testing.assert_close(torch.trapezoid(prior().log_prob(z[:, None]).exp(), z), torch.tensor(1.0))


def test_a_mixture_starts_with_equal_weights_and_unit_scales() -> None:
    prior = MixtureOfGaussians(3, n_components=4)()
    assert isinstance(prior, MixtureSameFamily)
    torch.testing.assert_close(prior.mixture_distribution.probs, torch.full((4,), 0.25))
    torch.testing.assert_close(prior.component_distribution.stddev, torch.ones(4, 3))
    assert len(prior.component_distribution.mean.unique(dim=0)) == 4


def test_every_part_of_a_mixture_is_trained() -> None:
    prior = MixtureOfGaussians(3, n_components=4)
    q_z = Independent(Normal(torch.zeros(5, 3), 1.0), 1)
    kl_divergence(q_z, prior(), q_z.rsample()).sum().backward()
    assert [name for name, _ in prior.named_parameters()] == ["logits", "loc", "raw_scale"]
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in prior.parameters())


@pytest.mark.parametrize(
    ("z_dim", "n_components", "error", "name"),
    [(0, 4, ValueError, "z_dim"), ("3", 4, TypeError, "z_dim"), (3, 0, ValueError, "n_components")],
)
def test_bad_sizes_of_a_mixture_are_refused(z_dim: Any, n_components: Any, error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=f"`{name}` must be"):
        MixtureOfGaussians(z_dim, n_components)


def test_log_density_of_a_vamp_prior_is_that_of_the_sum_over_its_posteriors() -> None:
    encoder, z = digits.Encoder(3, [8]), torch.randn(2, 6, 3)
    prior = VampPrior(encoder, digits.INPUT_SHAPE, n_components=4)
    densities = [encoder(u[None]).log_prob(z).exp() for u in prior.pseudo_inputs]
    torch.testing.assert_close(prior().log_prob(z), (sum(densities) / 4).log())


def test_a_vamp_prior_shares_the_encoder_and_trains_its_pseudo_inputs() -> None:
    encoder = digits.Encoder(3, [8])
    prior = VampPrior(encoder, digits.INPUT_SHAPE, n_components=4)
    prior().log_prob(torch.randn(5, 3)).sum().backward()
    for tensor in (*encoder.parameters(), prior.pseudo_inputs):
        assert tensor.grad is not None
        assert tensor.grad.abs().sum() > 0


def test_pseudo_inputs_stay_in_the_range_of_the_data() -> None:
    prior = VampPrior(digits.Encoder(3, [8]), digits.INPUT_SHAPE, n_components=4)
    z = torch.randn(5, 3)
    prior.pseudo_inputs.data.fill_(1.0)
    expected = prior().log_prob(z)
    prior.pseudo_inputs.data.fill_(7.0)
    torch.testing.assert_close(prior().log_prob(z), expected)
