"""Predicted and true labels of a split."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Categorical

from frame_core import ClassificationModel, Optimization, share
from frame_eval.batches import get_batch_size, iterate_split
from frame_eval.labels import find_labels, require_labels


@dataclass(frozen=True)
class Predictions:
    """Predicted and true labels of examples: integer tensors of shape (n_data,)."""

    predicted: Tensor
    true: Tensor
    n_labels: int
    """Number of labels that the model predicts."""


def predict_split(optimization: Optimization, split: str, n_samples: int | None, n_latent_samples: int) -> Predictions:
    """Predict the labels of the examples of a split; the evaluations of one step share the result.

    Args:
        optimization: The optimization that has the data and the model, a `ClassificationModel`.
        split: Name of the split.
        n_samples: Number of examples, drawn at random, but the same every time. None, or more than the split has,
            means all.
        n_latent_samples: Number of random draws per example whose predicted probabilities are averaged.

    Raises:
        TypeError: The model does not return a categorical distribution.
        ValueError: The split is missing, empty or without labels.
    """
    key = (predict_split, split, n_samples, n_latent_samples)
    return share(optimization, key, lambda: _predict(optimization, split, n_samples, n_latent_samples))


def _predict(optimization: Optimization, split: str, n_samples: int | None, n_latent_samples: int) -> Predictions:
    model = optimization.model
    assert isinstance(model, ClassificationModel)  # the evaluation's `requires`
    predicted: list[Tensor] = []
    true: list[Tensor] = []
    n_labels = 0
    for batch in iterate_split(optimization, split, get_batch_size(n_latent_samples), n_samples):
        true.append(require_labels(find_labels(batch), split))
        probabilities = _classify(model, batch, n_latent_samples)
        predicted.append(probabilities.argmax(-1))
        n_labels = probabilities.shape[-1]
    return Predictions(torch.cat(predicted), torch.cat(true), n_labels)


def _classify(model: ClassificationModel, data: Mapping[str, Tensor], n_latent_samples: int) -> Tensor:
    """Return the probabilities of the labels, of shape (batch, n_labels)."""
    p_y = model.classify(data, n_latent_samples)
    if not isinstance(p_y, Categorical):
        raise TypeError(
            f"`{type(model).__name__}.classify` must return a `Categorical` distribution, got a {type(p_y).__name__}."
        )
    return p_y.probs
