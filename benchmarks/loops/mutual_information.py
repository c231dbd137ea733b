"""Losses of estimators of mutual information, written by hand."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from benchmarks.loops.layers import get_layers
from benchmarks.loops.method import Batch, Loss


def make_infonce(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of the contrastive bound."""
    networks = _get_networks(model)

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        scores = _score(networks, batch)
        return cross_entropy(scores, torch.arange(len(scores))) - torch.tensor(len(scores)).log()

    return [compute_loss]


def make_nwj(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of the bound of Nguyen, Wainwright and Jordan."""
    networks = _get_networks(model)

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        scores = _score(networks, batch)
        return _average_others(scores.exp()) - scores.diagonal().mean() - 1

    return [compute_loss]


def make_smile(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of the Jensen-Shannon bound."""
    networks = _get_networks(model)

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        scores = _score(networks, batch)
        return softplus(-scores.diagonal()).mean() + _average_others(softplus(scores))

    return [compute_loss]


def make_mine(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of the bound of Donsker and Varadhan, with a moving average of its denominator."""
    networks, decay = _get_networks(model), model.decay
    average, weight = torch.zeros(()), torch.zeros(())

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        scores = _score(networks, batch)
        mean = _average_others(scores.exp())
        average.lerp_(mean.detach(), 1 - decay)
        weight.lerp_(torch.ones(()), 1 - decay)
        return mean * weight / average - scores.diagonal().mean()

    return [compute_loss]


def _get_networks(model: Any) -> tuple[torch.nn.Sequential, torch.nn.Sequential]:
    return get_layers(model.critic.network_1), get_layers(model.critic.network_2)


def _score(networks: tuple[torch.nn.Sequential, torch.nn.Sequential], batch: Batch) -> Tensor:
    return networks[0](batch["v1"]) @ networks[1](batch["v2"]).T


def _average_others(values: Tensor) -> Tensor:
    """Average the values of the pairs of two examples, which are not on the diagonal."""
    return (values.sum() - values.diagonal().sum()) / (len(values) * (len(values) - 1))
