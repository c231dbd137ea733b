"""Models, and the capabilities that evaluations and optimizations require.

A capability is a matter of methods. A model that has the methods of a capability is an instance of it, whatever its
base classes are. Deriving from a capability documents it, and reports a missing method when the model is made.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from frame_core.data import get_tensor


class Model(nn.Module, ABC):
    """Networks and a loss, independent of data set and architecture."""

    @classmethod
    def __subclasshook__(cls, subclass: type, /) -> bool:
        if cls.__module__ != __name__:
            return NotImplemented  # a class that only its own subclasses derive from
        return issubclass(subclass, nn.Module) and not find_missing_methods(subclass, cls)

    @abstractmethod
    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> Mapping[str, Tensor | float]:
        """Compute the loss of a batch.

        Args:
            data: A batch, a dictionary of tensors such as ``data["x"]`` of shape (batch, \\*x_shape)
                and ``data["y"]`` of shape (batch,).
            data_idx: Index of the batch in its epoch.

        Returns:
            ``loss``, a scalar tensor that carries the gradient, and quantities to log, each a number or a
            detached scalar tensor. Losses are means over the batch of sums over the event, in nats.
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

        A conditional model has further parameters with the names of the tensors of a batch that it needs, such as
        ``y``. Given conditions of shape (batch, ...), it generates ``sample_shape`` samples for each of them. See
        `select_conditions`.

        Args:
            sample_shape: Leading dimensions of the generated samples.
            sample_output: Whether to sample the output distribution too. If False, its mean is returned.

        Returns:
            Tensor of shape (\\*sample_shape, \\*x_shape), or (\\*sample_shape, batch, \\*x_shape) given conditions.
        """


class RepresentationLearningModel(Model):
    """A model that represents an example by a random variable z.

    If the representation depends on more than x, such as a label or a mask, the model has a method
    ``encode_batch(data)``, which takes a batch and returns the same distribution. It needs no ``encode`` then. See
    `encode_batch`.
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


class ImportanceSamplingModel(Model):
    """A latent-variable model whose log-likelihood can be estimated by importance sampling."""

    @abstractmethod
    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        """Compute the log importance weights log p(x, z) - log q(z | x) of samples z ~ q(z | x), in nats.

        The logarithm of the mean of the weights over the samples is a lower bound on log p(x). It becomes
        tighter with more samples. If q(z | x) can be reparameterized, z is drawn with `rsample`, so that the gradient
        of the bound reaches q(z | x).

        Args:
            data: A batch with ``data["x"]`` of shape (batch, \\*x_shape).
            n_samples: Number of samples per example.

        Returns:
            Tensor of shape (n_samples, batch), with gradient.
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
    def compute_generator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> Mapping[str, Tensor | float]:
        """Compute the loss of the generator, as `compute_loss` does.

        Its gradient reaches only the parameters of the generator.
        """

    @abstractmethod
    def compute_discriminator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> Mapping[str, Tensor | float]:
        """Compute the loss of the discriminator, as `compute_loss` does.

        Its gradient reaches only the parameters of the discriminator.
        """


def find_missing_methods(model: type, capability: type[Model]) -> list[str]:
    """Return the methods of a capability that a class of models lacks. ``encode_batch`` is as good as ``encode``."""

    def has(method: str) -> bool:
        return callable(getattr(model, method, None)) or (method == "encode" and has("encode_batch"))

    methods = capability.__abstractmethods__
    return [
        method for method in sorted(methods) if not has(method) and (method != "compute_loss" or capability is Model)
    ]


def encode_batch(model: RepresentationLearningModel, data: Mapping[str, Tensor]) -> Distribution:
    """Return the distribution q(z | x) of a batch: ``model.encode_batch(data)`` if it exists, else of ``data["x"]``.

    Raises:
        TypeError: The model does not return a distribution.
        ValueError: The model has no ``encode_batch``, and the batch has no ``x``.
    """
    encode = getattr(model, "encode_batch", None)
    q_z: Any = model.encode(get_tensor(data, "x")) if encode is None else encode(data)
    if not isinstance(q_z, Distribution):
        method = f"{type(model).__name__}.{'encode' if encode is None else 'encode_batch'}"
        raise TypeError(
            f"`{method}` must return a distribution, got a {type(q_z).__name__}. "
            "Return a deterministic representation z of shape (batch, n) as `frame_core.Delta(z, 1)`."
        )
    return q_z


def select_conditions(model: GenerativeModel, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the conditions of the model's ``sample`` in a batch: the tensors that are named like its parameters."""
    return {name: data[name] for name in signature(model.sample).parameters if name in data}
