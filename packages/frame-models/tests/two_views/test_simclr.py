from math import exp, log

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from frame_core import Delta
from frame_models import SimCLR
from frame_models.two_views.simclr import compute_nt_xent


class Encoder(nn.Module):
    def __init__(self, n_inputs: int = 4) -> None:
        super().__init__()
        self.linear = nn.Linear(n_inputs, 3)
        self.sizes: list[int] = []

    def forward(self, x: Tensor) -> Distribution:
        self.sizes.append(len(x))
        return Delta(self.linear(x), 1)


def compute_nt_xent_in_loops(z_1: Tensor, z_2: Tensor, temperature: float) -> float:
    """Compute the mean of l(i, j) over all pairs (Chen et al., 2020, equation 1), one number at a time."""
    z = [row / sum(float(number) ** 2 for number in row) ** 0.5 for row in [*z_1, *z_2]]
    n = len(z_1)
    total = 0.0
    for i in range(2 * n):
        j = i + n if i < n else i - n
        similarities = [sum(float(a) * float(b) for a, b in zip(z[i], z[k])) for k in range(2 * n)]
        denominator = sum(exp(similarities[k] / temperature) for k in range(2 * n) if k != i)
        total -= log(exp(similarities[j] / temperature) / denominator)
    return total / (2 * n)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_the_loss_is_that_of_the_paper_in_loops(temperature: float) -> None:
    torch.manual_seed(0)
    z_1, z_2 = torch.randn(2, 6, 3, dtype=torch.float64)
    assert compute_nt_xent(z_1, z_2, temperature).item() == pytest.approx(
        compute_nt_xent_in_loops(z_1, z_2, temperature), rel=1e-9
    )


def test_the_loss_of_identical_views_that_are_orthogonal_to_all_others_has_a_closed_form() -> None:
    z = 3 * torch.eye(5)
    expected = -1 / 0.5 + log(exp(1 / 0.5) + 2 * 5 - 2)
    torch.testing.assert_close(compute_nt_xent(z, z, 0.5), torch.tensor(expected))


def test_the_loss_of_equal_embeddings_is_the_log_of_the_number_of_others() -> None:
    z = torch.ones(5, 3)
    torch.testing.assert_close(compute_nt_xent(z, z, 0.5), torch.tensor(log(9)))


def test_the_gradient_agrees_with_finite_differences() -> None:
    torch.manual_seed(0)
    z_1, z_2 = torch.randn(2, 4, 3, dtype=torch.float64).requires_grad_().unbind()
    assert torch.autograd.gradcheck(lambda a, b: compute_nt_xent(a, b, 0.5), (z_1, z_2))


def test_the_model_embeds_both_views_in_one_pass() -> None:
    encoder, projector = Encoder(), nn.Linear(3, 2)
    model = SimCLR(encoder, projector, temperature=0.2)
    v_1, v_2 = torch.randn(2, 5, 4)
    loss = model.compute_loss({"v1": v_1, "v2": v_2}, 0)["loss"]
    assert encoder.sizes == [10]
    expected = compute_nt_xent(projector(encoder.linear(v_1)), projector(encoder.linear(v_2)), 0.2)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(model.encode(v_1).mean, encoder.linear(v_1))  # without the projector
