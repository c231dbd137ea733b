import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Normal, TransformedDistribution
from torch.distributions.transforms import ExpTransform

from frame_core import Delta, add_losses, call_frozen, check_scores, compute_adversarial_loss, generate_like


class Double(nn.Module):
    """A distribution of the given kind, centered at twice its condition."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.factor = nn.Parameter(torch.tensor(2.0))

    def forward(self, z: Tensor) -> Distribution:
        kinds: dict[str, Distribution] = {
            "delta": Delta(self.factor * z, 1),
            "normal": Independent(Normal(self.factor * z, 1.0), 1),
            "bernoulli": Independent(Bernoulli(self.factor * z), 1),
            "elementwise": Normal(self.factor * z, 1.0),
            "meanless": TransformedDistribution(Independent(Normal(z, 1.0), 1), [ExpTransform()]),
        }
        return kinds[self.kind]


class Quarter(nn.Module):
    """A prior with all its mass at 1/4."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.full((3,), 0.25))

    def forward(self) -> Distribution:
        return Delta(self.value, 1)


def test_a_frozen_module_has_the_same_output_and_the_same_gradient_at_its_inputs() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    x = torch.randn(5, 3, requires_grad=True)
    (expected,) = torch.autograd.grad(module(x).sum(), [x])
    output = call_frozen(module, x)
    torch.testing.assert_close(output, module(x))
    output.sum().backward()
    torch.testing.assert_close(x.grad, expected)
    assert all(parameter.grad is None for parameter in module.parameters())
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_a_frozen_module_counts_its_batches() -> None:
    module = nn.BatchNorm1d(3)
    call_frozen(module, torch.randn(5, 3))
    assert module.num_batches_tracked == 1


@pytest.mark.parametrize("kind", ["delta", "normal", "bernoulli"])
def test_generated_examples_are_means_at_samples_of_the_prior(kind: str) -> None:
    generator, prior = Double(kind), Quarter()
    fake = generate_like(torch.zeros(5, 3), generator, prior)
    torch.testing.assert_close(fake, torch.full((5, 3), 0.5))
    fake.sum().backward()
    assert generator.factor.grad == 5 * 3 * 0.25
    assert prior.value.grad is None


def test_a_generator_whose_shapes_do_not_match_the_data_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`generator` must .* event shape \(3,\), got \(5, 3\) and \(\)"):
        generate_like(torch.zeros(5, 3), Double("elementwise"), Quarter())
    with pytest.raises(ValueError, match=r"`generator` must .* event shape \(1, 3\), got \(5,\) and \(3,\)"):
        generate_like(torch.zeros(5, 1, 3), Double("delta"), Quarter())


def test_a_generator_without_a_mean_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^`generator` must return a distribution that has a mean, got Trans"):
        generate_like(torch.zeros(5, 3), Double("meanless"), Quarter())


def test_scores_are_refused_unless_they_are_one_number_per_example() -> None:
    scores = torch.zeros(5)
    assert check_scores("critic", scores, torch.zeros(5, 1, 2)) is scores
    with pytest.raises(ValueError, match=r"^`critic` must return a tensor of shape \(5,\), got \(5, 1\)\.$"):
        check_scores("critic", torch.zeros(5, 1), torch.zeros(5, 1, 2))


def test_losses_are_added_and_quantities_named_by_their_part() -> None:
    one, two = torch.tensor(1.0, requires_grad=True), torch.tensor(2.0, requires_grad=True)
    quantities = add_losses({"a": {"loss": 3 * one, "b": torch.tensor(7.0)}, "c": {"loss": 5 * two}})
    assert {name: value.item() for name, value in quantities.items()} == {
        "loss": 13.0,
        "a_loss": 3.0,
        "a_b": 7.0,
        "c_loss": 10.0,
    }
    assert [name for name, value in quantities.items() if value.requires_grad] == ["loss"]
    quantities["loss"].backward()
    assert (one.grad, two.grad) == (3, 5)


def test_the_loss_of_an_adversarial_model_is_the_sum_of_both_named_by_their_part() -> None:
    class TwoLosses:
        def compute_generator_loss(self, data: object, data_idx: int) -> dict[str, Tensor]:
            return {"loss": torch.tensor(1.0)}

        def compute_discriminator_loss(self, data: object, data_idx: int) -> dict[str, Tensor]:
            return {"loss": torch.tensor(2.0), "penalty": torch.tensor(float(data_idx))}

    quantities = compute_adversarial_loss(TwoLosses(), {}, 7)
    assert {name: value.item() for name, value in quantities.items()} == {
        "loss": 3.0,
        "generator_loss": 1.0,
        "discriminator_loss": 2.0,
        "discriminator_penalty": 7.0,
    }
