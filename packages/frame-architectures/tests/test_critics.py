from typing import Any

import pytest
import torch
from torch import nn

from frame_architectures import BilinearCritic, PairCritic, SeparableCritic

CRITICS = [PairCritic(3, [8, 5]), BilinearCritic(3), SeparableCritic(3, [8], 4)]


@pytest.mark.parametrize("critic", CRITICS)
@pytest.mark.parametrize("batch_shape", [(), (4,), (2, 3)])
def test_a_pair_has_one_score(critic: nn.Module, batch_shape: tuple[int, ...]) -> None:
    z_1, z_2 = torch.randn(2, *batch_shape, 3)
    assert critic(z_1, z_2).shape == batch_shape


@pytest.mark.parametrize("critic", CRITICS)
def test_all_pairs_of_two_batches_are_scored(critic: nn.Module) -> None:
    z_1, z_2 = torch.randn(4, 3), torch.randn(5, 3)
    scores = critic(z_1.unsqueeze(1), z_2.unsqueeze(0))
    expected = torch.stack([critic(z.expand(5, 3), z_2) for z in z_1])
    torch.testing.assert_close(scores, expected)


def test_a_separable_score_is_the_inner_product_of_two_perceptrons() -> None:
    critic, z_1, z_2 = SeparableCritic(3, [8], 4), torch.randn(5, 3), torch.randn(5, 3)
    weights = list(critic.parameters())

    def embed(z: torch.Tensor, w: torch.Tensor, b: torch.Tensor, w_2: torch.Tensor, b_2: torch.Tensor) -> torch.Tensor:
        return (z @ w.T + b).clamp(min=0) @ w_2.T + b_2

    expected = (embed(z_1, *weights[:4]) * embed(z_2, *weights[4:])).sum(1)
    torch.testing.assert_close(critic(z_1, z_2), expected)


def test_the_score_is_a_perceptron_of_both_representations() -> None:
    critic, z_1, z_2 = PairCritic(3, [8]), torch.randn(5, 3), torch.randn(5, 3)
    weight, bias, last_weight, last_bias = critic.parameters()
    hidden = (torch.cat([z_1, z_2], 1) @ weight.T + bias).clamp(min=0)
    torch.testing.assert_close(critic(z_1, z_2), hidden @ last_weight[0] + last_bias[0])


def test_a_bilinear_score_is_an_inner_product() -> None:
    critic, z_1, z_2 = BilinearCritic(3), torch.randn(5, 3), torch.randn(5, 3)
    weight, bias = critic.parameters()
    torch.testing.assert_close(critic(z_1, z_2), (z_1 @ weight[0] * z_2).sum(1) + bias)


@pytest.mark.parametrize(
    ("z_dim", "layers", "error", "name"), [(0, [5], ValueError, "z_dim"), (3, 5, TypeError, "layers")]
)
def test_bad_sizes_are_refused(z_dim: Any, layers: Any, error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=f"`{name}` must be"):
        PairCritic(z_dim, layers)


@pytest.mark.parametrize(("z_dim", "error"), [(0, ValueError), ("3", TypeError)])
def test_a_bad_size_of_a_bilinear_score_is_refused(z_dim: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="`z_dim` must be"):
        BilinearCritic(z_dim)
