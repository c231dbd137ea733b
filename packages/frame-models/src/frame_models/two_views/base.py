"""Two views of each example, and their embeddings."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from frame_core import get_mean, get_tensor


def get_views(data: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the two views ``v1`` and ``v2`` of a batch.

    Raises:
        ValueError: The batch lacks a view, or has fewer than two examples.
    """
    v_1, v_2 = get_tensor(data, "v1"), get_tensor(data, "v2")
    if len(v_1) < 2:
        raise ValueError(
            f"The batch needs at least 2 examples, because each is compared with the others; got {len(v_1)}."
        )
    return v_1, v_2


def embed_views(data: Mapping[str, Tensor], encoder: nn.Module, projector: nn.Module) -> tuple[Tensor, Tensor]:
    """Embed both views of a batch, in one pass of the networks.

    Args:
        data: A batch with ``v1`` and ``v2``, each of shape (batch, \\*x_shape).
        encoder: Representation, from (2 batch, \\*x_shape) to an event of shape (\\*z_shape,). Its mean is used.
        projector: From means (2 batch, \\*z_shape) to embeddings (2 batch, n_features).

    Returns:
        The embeddings of the first and of the second view, each of shape (batch, n_features).

    Raises:
        TypeError: The encoder's distribution has no mean.
        ValueError: The batch lacks a view or has fewer than two examples, the views differ in shape, or the embeddings
            are not vectors.
    """
    v_1, v_2 = get_views(data)
    if v_1.shape != v_2.shape:
        raise ValueError(f"`v1` and `v2` must have the same shape, got {tuple(v_1.shape)} and {tuple(v_2.shape)}.")
    embeddings = projector(get_mean(encoder(torch.cat([v_1, v_2])), "encoder"))
    if embeddings.ndim != 2 or len(embeddings) != 2 * len(v_1):
        raise ValueError(
            f"`projector` must return a vector for each view, of shape ({2 * len(v_1)}, n_features), got "
            f"{tuple(embeddings.shape)}."
        )
    embeddings_1, embeddings_2 = embeddings.chunk(2)
    return embeddings_1, embeddings_2


def sum_off_diagonal_squares(matrix: Tensor) -> Tensor:
    """Sum the squares of the elements of a square matrix that are not on its diagonal."""
    return matrix.square().sum() - matrix.diagonal().square().sum()
