"""Critics of representations, and of pairs of them. The batches of a pair may broadcast, such as (n, 1) and (1, n)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from frame_architectures.layers import make_stack
from frame_architectures.mlp import make_mlp_score
from frame_core import check_count, check_sizes


class BilinearCritic(nn.Module):
    """Bilinear score z1^T W z2 + b of two representations, each (\\*batch, z_dim), of shape (\\*batch,).

    The score is linear in each representation. Representations trained with this critic are therefore useful to
    linear classifiers.

    Args:
        z_dim: Number of dimensions of a representation.

    Raises:
        TypeError: ``z_dim`` is not an integer.
        ValueError: ``z_dim`` is not positive.

    References:
        Representation Learning with Contrastive Predictive Coding (van den Oord et al., 2018),
        https://arxiv.org/abs/1807.03748, which uses a critic of this form

    >>> BilinearCritic(z_dim=3)(torch.zeros(5, 3), torch.zeros(5, 3)).shape
    torch.Size([5])
    """

    def __init__(self, z_dim: int) -> None:
        super().__init__()
        self.bilinear = nn.Bilinear(check_count("z_dim", z_dim), z_dim, 1)

    def forward(self, z_1: Tensor, z_2: Tensor) -> Tensor:
        return self.bilinear(*torch.broadcast_tensors(z_1, z_2)).squeeze(-1)


class PairCritic(nn.Module):
    """Fully connected network from two representations, each (\\*batch, z_dim), to a score of shape (\\*batch,).

    Args:
        z_dim: Number of dimensions of a representation.
        layers: Number of units in each hidden layer, such as [1024, 1024].

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive.

    >>> PairCritic(z_dim=3, layers=[16])(torch.zeros(5, 3), torch.zeros(5, 3)).shape
    torch.Size([5])
    """

    def __init__(self, z_dim: int, layers: Sequence[int]) -> None:
        super().__init__()
        sizes = [2 * check_count("z_dim", z_dim), *check_sizes("layers", layers)]
        self.network = nn.Sequential(make_stack(sizes), nn.Linear(sizes[-1], 1))

    def forward(self, z_1: Tensor, z_2: Tensor) -> Tensor:
        return self.network(torch.cat(torch.broadcast_tensors(z_1, z_2), dim=-1)).squeeze(-1)


class LatentDiscriminator(nn.Module):
    """Fully connected network from a representation (\\*batch, z_dim) to a logit of shape (\\*batch,).

    Args:
        z_dim: Number of dimensions of the representation.
        layers: Number of units in each hidden layer, such as [256, 256].

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive.

    >>> LatentDiscriminator(z_dim=3, layers=[16])(torch.zeros(5, 3)).shape
    torch.Size([5])
    """

    def __init__(self, z_dim: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.network = make_mlp_score((check_count("z_dim", z_dim),), layers)

    def forward(self, z: Tensor) -> Tensor:
        return self.network(z).squeeze(-1)


class SeparableCritic(nn.Module):
    """Inner product of two embeddings, of representations (\\*batch, z_dim), as a score of shape (\\*batch,).

    Each representation has its own fully connected network. All n^2 pairs of n examples take 2 n passes.

    Args:
        z_dim: Number of dimensions of a representation.
        layers: Number of units in each hidden layer, such as [256, 256].
        n_features: Number of dimensions of an embedding.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive.

    References:
        On Variational Bounds of Mutual Information (Poole et al., 2019), https://arxiv.org/abs/1905.06922

    >>> SeparableCritic(z_dim=3, layers=[16], n_features=8)(torch.zeros(5, 1, 3), torch.zeros(1, 4, 3)).shape
    torch.Size([5, 4])
    """

    def __init__(self, z_dim: int, layers: Sequence[int], n_features: int) -> None:
        super().__init__()
        sizes = [check_count("z_dim", z_dim), *check_sizes("layers", layers)]
        last = check_count("n_features", n_features)
        self.network_1 = nn.Sequential(make_stack(sizes), nn.Linear(sizes[-1], last))
        self.network_2 = nn.Sequential(make_stack(sizes), nn.Linear(sizes[-1], last))

    def forward(self, z_1: Tensor, z_2: Tensor) -> Tensor:
        # for batches (n, 1) and (1, n) this is a product of two matrices
        return torch.einsum("...i,...i->...", self.network_1(z_1), self.network_2(z_2))
