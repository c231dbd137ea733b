"""Contrastive learning of representations (SimCLR)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.functional import cross_entropy, normalize

from frame_core import RepresentationLearningModel, check_positive
from frame_models.two_views.base import embed_views


class SimCLR(RepresentationLearningModel):
    """Representation that recognizes the other view of an example among the views of all examples of a batch.

    The loss is the normalized temperature-scaled cross-entropy of `compute_nt_xent`. It compares embeddings, which the
    projector computes from the representations. The projector is not needed after training.

    Args:
        encoder: Representation, from (batch, \\*x_shape) to an event of shape (\\*z_shape,). Its mean is used; the
            usual choice is a `frame_core.Delta`.
        projector: From representations (batch, \\*z_shape) to a tensor of embeddings (batch, n_features).
        temperature: Scale of the cosine similarities. A smaller one weights similar negatives more.

    Raises:
        TypeError: ``temperature`` is not a number.
        ValueError: ``temperature`` is not positive and finite.

    References:
        A Simple Framework for Contrastive Learning of Visual Representations (Chen et al., 2020),
        https://arxiv.org/abs/2002.05709
    """

    def __init__(self, encoder: nn.Module, projector: nn.Module, temperature: float = 0.5) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = projector
        self.temperature = check_positive("temperature", temperature)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of a batch with two views, ``data["v1"]`` and ``data["v2"]``.

        Raises:
            TypeError: The encoder's distribution has no mean.
            ValueError: The batch lacks a view or has fewer than two examples, or a shape is wrong.
        """
        return {"loss": compute_nt_xent(*embed_views(data, self.encoder, self.projector), self.temperature)}

    def encode(self, x: Tensor) -> Distribution:
        return self.encoder(x)


def compute_nt_xent(z_1: Tensor, z_2: Tensor, temperature: float) -> Tensor:
    """Compute the normalized temperature-scaled cross-entropy, in nats.

    For each of the 2n embeddings, the softmax of its cosine similarities to the 2n - 1 others, divided by the
    temperature, assigns each of these a probability. The result is the mean over the 2n embeddings of minus the log
    probability of the partner.

    Args:
        z_1: Embeddings of the first views, of shape (n, n_features).
        z_2: Embeddings of the second views, of the same shape.
        temperature: Scale of the similarities.

    Returns:
        Scalar tensor.
    """
    z = normalize(torch.cat([z_1, z_2]), dim=1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    logits = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    partners = torch.arange(len(z), device=z.device).roll(len(z_1))
    return cross_entropy(logits, partners)
