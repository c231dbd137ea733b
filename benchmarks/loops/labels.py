"""Losses of models that predict labels, written by hand."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks.loops.layers import compute_divergence, encode_labels, get_layers, split_normal
from benchmarks.loops.method import Batch, Loss


def make_classifier(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the cross-entropy of a classifier."""
    network = get_layers(model.predictor)

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        return cross_entropy(network(batch["x"].flatten(1)), batch["y"])

    return [compute_loss]


def make_vib(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of the variational information bottleneck."""
    encoder, predictor = get_layers(model.encoder), get_layers(model.predictor)

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        mean, scale = split_normal(encoder(batch["x"].flatten(1)))
        z = mean + scale * torch.randn(settings.n_samples, *scale.shape)
        prediction = cross_entropy(predictor(z).flatten(0, 1), batch["y"].repeat(settings.n_samples))
        return prediction + settings.beta * compute_divergence(mean, scale).mean()

    return [compute_loss]


def make_ceb(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of the conditional entropy bottleneck."""
    encoder, predictor, backward = (
        get_layers(part) for part in (model.encoder, model.predictor, model.backward_encoder)
    )

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        mean, scale = split_normal(encoder(batch["x"].flatten(1)))
        backward_mean, backward_scale = split_normal(backward(encode_labels(batch["y"])))
        z = mean + scale * torch.randn(settings.n_samples, *scale.shape)
        prediction = cross_entropy(predictor(z).flatten(0, 1), batch["y"].repeat(settings.n_samples))
        # KL(q || b) does not change when both are moved and scaled
        divergence = compute_divergence((mean - backward_mean) / backward_scale, scale / backward_scale)
        return prediction + settings.beta * divergence.mean()

    return [compute_loss]
