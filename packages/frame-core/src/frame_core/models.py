"""Models, and the capabilities that evaluations and optimizations require."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from frame_core.data import get_tensor


class Model(nn.Module, ABC):
    """Networks and a loss, independent of data set and architecture."""

    @abstractmethod
    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of a batch.

        Args:
            data: A batch, a dictionary of tensors such as ``data["x"]`` of shape (batch, \\*x_shape)
                and ``data["y"]`` of shape (batch,).
            data_idx: Index of the batch in its epoch.

        Returns:
            A dictionary of scalar tensors: ``loss`` carries the gradient, every other value is a
            detached quantity to log. Losses are means over the batch of sums over the event, in nats.
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
            sample_shape: Leading dimensions of the generated samples.
            sample_output: Whether to sample the output distribution too. If False, its mean is returned.

        Returns:
            Tensor of shape (\\*sample_shape, \\*x_shape).
        """


class RepresentationLearningModel(Model):
    """A model that represents an example by a random variable z.

    If the representation depends on more than x, such as a label or a mask, the model also has a method
    ``encode_batch(data)``, which takes a batch and returns the same distribution. See `encode_batch`.
    """

    @abstractmethod
    def encode(self, x: Tensor) -> Distribution:
        """Return the distribution q(z | x) of the representation.

        Args:
            x: Data of shape (batch, \\*x_shape).

        Returns:
            Distribution of batch shape (batch,) and event shape (\\*z_shape,).
        """


class LatentVariableModel(RepresentationLearningModel):
    """A model with a likelihood p(x | z) of an example given its representation."""

    @abstractmethod
    def decode(self, z: Tensor) -> Distribution:
        """Return the distribution p(x | z) of the data.

        Args:
            z: Representations of shape (batch, \\*z_shape).

        Returns:
            Distribution of batch shape (batch,) and event shape (\\*x_shape,).
        """


class ReconstructionModel(Model):
    """A model that reconstructs an example from its representation."""

    @abstractmethod
    def reconstruct(
        self, data: Mapping[str, Tensor], sample_latents: bool = False, sample_output: bool = False
    ) -> Tensor:
        """Reconstruct a batch from its representations.

        Args:
            data: A batch with ``data["x"]`` of shape (batch, \\*x_shape).
            sample_latents: Whether to sample the representation. If False, its mean is used.
            sample_output: Whether to sample the output distribution. If False, its mean is returned.

        Returns:
            Tensor of the shape of ``data["x"]``.
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
    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        """Compute the log importance weights log p(x, z) - log q(z | x) of samples z ~ q(z | x), in nats.

        The logarithm of the mean of the weights over the samples is a lower bound on log p(x). It becomes
        tighter with more samples.

        Args:
            data: A batch with ``data["x"]`` of shape (batch, \\*x_shape).
            n_samples: Number of samples per example.

        Returns:
            Tensor of shape (n_samples, batch).
        """


class ClassificationModel(Model):
    """A model that predicts the label of an example."""

    @abstractmethod
    def classify(self, data: Mapping[str, Tensor], n_samples: int = 1) -> Distribution:
        """Return the distribution p(y | x) over labels.

        Args:
            data: A batch with ``data["x"]`` of shape (batch, \\*x_shape). Its labels, if it has any, are not used.
            n_samples: Number of random draws whose predicted probabilities are averaged. A deterministic
                model ignores it.

        Returns:
            Categorical distribution of batch shape (batch,) over labels.
        """


class AdversarialModel(GenerativeModel):
    """A generator and a discriminator that are trained against each other, each on its own loss.

    ``compute_loss`` returns the sum of both losses. The gradient of each loss reaches only the parameters of
    its own part, so that a step on the sum updates both parts simultaneously. An optimization that alternates
    between the two calls one of the other methods per step.
    """

    generator: nn.Module
    """Generates the data."""

    discriminator: nn.Module
    """Distinguishes generated from real data. If it returns an unbounded score, it is a critic."""

    @abstractmethod
    def compute_generator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of the generator, as `compute_loss` does.

        Its gradient reaches only the parameters of the generator.
        """

    @abstractmethod
    def compute_discriminator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of the discriminator, as `compute_loss` does.

        Its gradient reaches only the parameters of the discriminator.
        """


def encode_batch(model: RepresentationLearningModel, data: Mapping[str, Tensor]) -> Distribution:
    """Return the distribution q(z | x) of a batch: ``model.encode_batch(data)`` if it exists, else of ``data["x"]``.

    Raises:
        ValueError: The model has no ``encode_batch``, and the batch has no ``x``.
    """
    encode = getattr(model, "encode_batch", None)
    return model.encode(get_tensor(data, "x")) if encode is None else encode(data)
