"""What a model is, and the capabilities that evaluations and procedures ask for."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributions import Distribution


class Model(nn.Module, ABC):
    """What is optimised: networks and a loss, free of data set and architecture."""

    @abstractmethod
    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of a batch.

        Args:
            data: A batch, a dictionary of tensors such as ``data["x"]`` of shape (batch, \\*x_shape)
                and ``data["y"]`` of shape (batch,).
            data_idx: Position of the batch in its epoch.

        Returns:
            A dictionary of scalar tensors: ``loss`` carries the gradient, every other key is a
            detached quantity to log. Means over the batch of sums over the event, in nats.
        """


class GenerativeModel(Model):
    """A model that generates data."""

    @abstractmethod
    def sample(
        self,
        sample_shape: torch.Size = torch.Size([]),
        sample_output: bool = False,
    ) -> Tensor:
        """Generate data.

        Args:
            sample_shape: Shape of the set of samples to generate.
            sample_output: Whether to sample the output distribution too; its mean is given otherwise.

        Returns:
            Tensor of shape (\\*sample_shape, \\*x_shape).
        """


class RepresentationLearningModel(Model):
    """A model that represents a datum by a random variable z."""

    @abstractmethod
    def encode(self, x: Tensor) -> Distribution:
        """Give the distribution q(z | x) of the representation.

        Args:
            x: Data of shape (batch, \\*x_shape).

        Returns:
            Distribution of batch shape (batch,) and event shape (\\*z_shape,).
        """


class ReconstructionModel(Model):
    """A model that gives a datum back from what it keeps of it."""

    @abstractmethod
    def reconstruct(self, x: Tensor, sample_latents: bool = False, sample_output: bool = False) -> Tensor:
        """Reconstruct data from their representation.

        Args:
            x: Data of shape (batch, \\*x_shape).
            sample_latents: Whether to sample the representation; its mean is taken otherwise.
            sample_output: Whether to sample the output distribution; its mean is given otherwise.

        Returns:
            Tensor of the shape of ``x``.
        """


class VariationalModel(Model):
    """A latent-variable model with an evidence lower bound."""

    @abstractmethod
    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compute the two terms of the negative evidence lower bound, in nats.

        Args:
            data: A batch with ``data["x"]`` of shape (batch, \\*x_shape).

        Returns:
            ``reconstruction``, a one-sample estimate of -E_q[log p(x | z)], and ``regularization``,
            KL(q(z | x) || p(z)): scalar tensors, means over the batch, with gradient.
            The lower bound is minus their sum.
        """


class ClassificationModel(Model):
    """A model that predicts the label of a datum."""

    @abstractmethod
    def classify(self, x: Tensor) -> Distribution:
        """Give the distribution p(y | x) over labels.

        Args:
            x: Data of shape (batch, \\*x_shape).

        Returns:
            Distribution of batch shape (batch,) over labels.
        """
