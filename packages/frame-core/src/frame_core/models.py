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


class LatentVariableModel(RepresentationLearningModel):
    """A model that describes a datum given its representation."""

    @abstractmethod
    def decode(self, z: Tensor) -> Distribution:
        """Give the distribution p(x | z) of the data.

        Args:
            z: Representations of shape (batch, \\*z_shape).

        Returns:
            Distribution of batch shape (batch,) and event shape (\\*x_shape,).
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

    @abstractmethod
    def compute_log_weights(self, x: Tensor, n_samples: int) -> Tensor:
        """Compute the log importance weights log p(x, z) - log q(z | x) of samples z ~ q(z | x), in nats.

        The logarithm of the mean of the weights over the samples is a lower bound on log p(x) that
        tightens with their number.

        Args:
            x: Data of shape (batch, \\*x_shape).
            n_samples: Number of samples for each datum.

        Returns:
            Tensor of shape (n_samples, batch).
        """


class ClassificationModel(Model):
    """A model that predicts the label of a datum."""

    @abstractmethod
    def classify(self, x: Tensor, n_samples: int = 1) -> Distribution:
        """Give the distribution p(y | x) over labels.

        Args:
            x: Data of shape (batch, \\*x_shape).
            n_samples: Number of random draws whose predicted probabilities are averaged; a model that
                draws nothing takes no notice.

        Returns:
            Categorical distribution of batch shape (batch,) over labels.
        """


class AdversarialModel(GenerativeModel):
    """A generator and a discriminator that are trained against one another, each on a loss of its own.

    ``compute_loss`` gives the sum of both losses, in which each reaches the parameters of its own part
    alone: its gradient is that of a simultaneous step of the two. A procedure that takes the steps in
    turn asks for one loss at a time.
    """

    generator: nn.Module
    """Makes the data."""

    discriminator: nn.Module
    """Tells them from real ones; a critic where it gives a score."""

    @abstractmethod
    def compute_generator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of the generator, as `compute_loss` does.

        Its gradient reaches the parameters of the generator alone.
        """

    @abstractmethod
    def compute_discriminator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of the discriminator, as `compute_loss` does.

        Its gradient reaches the parameters of the discriminator alone.
        """
