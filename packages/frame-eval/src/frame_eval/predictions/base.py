"""Predicted and true labels of a split, the probabilities of both, and the base class of their evaluations."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Categorical

from frame_core import ClassificationModel, Evaluation, LogEntry, Optimization, check_count, share
from frame_eval.batches import check_n_samples, get_batch_size, iterate_split
from frame_eval.predictions.labels import check_labels, find_labels, require_labels


@dataclass(frozen=True)
class Predictions:
    """Predicted and true labels of examples: integer tensors of shape (n_data,)."""

    predicted: Tensor
    true: Tensor
    confidence: Tensor
    """Probability of the predicted label, of shape (n_data,)."""

    log_likelihood: Tensor
    """Log probability of the true label in nats, of shape (n_data,); minus infinity for a label that is not known."""

    n_labels: int
    """Number of labels that the model predicts."""


class PredictionEvaluation(Evaluation):
    """Evaluation of the labels that a classifier predicts for a split.

    Args:
        evaluate_on: Name of the split. Its examples must have labels.
        n_samples: Number of examples, drawn at random, but the same every time. None, or more than the split has,
            means all.
        n_latent_samples: Number of random draws per example, over which a stochastic classifier averages its
            predicted probabilities.

    Raises:
        TypeError: A number is not an integer.
        ValueError: A number is not positive.
    """

    requires = ClassificationModel

    def __init__(self, evaluate_on: str, n_samples: int | None = None, n_latent_samples: int = 1) -> None:
        self.evaluate_on = evaluate_on
        self.n_samples = check_n_samples(n_samples)
        self.n_latent_samples = check_count("n_latent_samples", n_latent_samples)

    def check(self, optimization: Optimization) -> None:
        """Check that the examples have labels.

        Raises:
            ValueError: They have no labels.
        """
        check_labels(optimization, self.evaluate_on)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Predict the labels, and summarize them.

        Raises:
            TypeError: The model does not return a categorical distribution.
            ValueError: The split is missing, empty or without labels, or a label is negative.
        """
        return self.summarize(predict_split(optimization, self.evaluate_on, self.n_samples, self.n_latent_samples))

    @abstractmethod
    def summarize(self, predictions: Predictions) -> LogEntry:
        """Return the entry for the predictions.

        Raises:
            ValueError: A label is negative.
        """


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
    confidence: list[Tensor] = []
    log_likelihood: list[Tensor] = []
    n_labels = 0
    for batch in iterate_split(optimization, split, get_batch_size(n_latent_samples), n_samples):
        y = require_labels(find_labels(batch), split)
        log_probabilities = _classify(model, batch, n_latent_samples)
        n_labels = log_probabilities.shape[-1]
        highest, label = log_probabilities.max(-1)
        of_true = log_probabilities.gather(-1, y.clamp(0, n_labels - 1).unsqueeze(-1)).squeeze(-1)
        predicted.append(label)
        true.append(y)
        confidence.append(highest.exp())
        log_likelihood.append(torch.where((y >= 0) & (y < n_labels), of_true, -torch.inf))
    return Predictions(
        torch.cat(predicted), torch.cat(true), torch.cat(confidence), torch.cat(log_likelihood), n_labels
    )


def _classify(model: ClassificationModel, data: Mapping[str, Tensor], n_latent_samples: int) -> Tensor:
    """Return the log probabilities of the labels, of shape (batch, n_labels)."""
    p_y = model.classify(data, n_latent_samples)
    if not isinstance(p_y, Categorical):
        raise TypeError(
            f"`{type(model).__name__}.classify` must return a `Categorical` distribution, got a {type(p_y).__name__}."
        )
    return p_y.logits  # torch normalizes them
