"""Losses of representations of two views, written by hand."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss, normalize, softplus

from benchmarks.loops.layers import get_layers, split_normal
from benchmarks.loops.method import Batch, Loss


def make_simclr(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the contrastive loss of two views."""
    network = torch.nn.Sequential(*get_layers(model.encoder), *get_layers(model.projector))

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        z = normalize(network(_stack_views(batch)))
        similarity = (z @ z.T / settings.temperature).fill_diagonal_(-torch.inf)
        return cross_entropy(similarity, torch.arange(len(z)).roll(len(z) // 2))

    return [compute_loss]


def make_barlow_twins(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of the correlations of the features of two views."""
    network = torch.nn.Sequential(*get_layers(model.encoder), *get_layers(model.projector))

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        z_1, z_2 = (
            (z - z.mean(0)) / (z.var(0, correction=0) + 1e-5).sqrt() for z in network(_stack_views(batch)).chunk(2)
        )
        correlation = z_1.T @ z_2 / len(z_1)
        diagonal = correlation.diagonal()
        redundancy = correlation.square().sum() - diagonal.square().sum()
        return (1 - diagonal).square().sum() + settings.redundancy_weight * redundancy

    return [compute_loss]


def make_vicreg(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of the variance, invariance and covariance of two views."""
    network = torch.nn.Sequential(*get_layers(model.encoder), *get_layers(model.projector))

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        z_1, z_2 = network(_stack_views(batch)).chunk(2)
        loss = settings.invariance_weight * mse_loss(z_1, z_2)
        for z in (z_1, z_2):
            z = z - z.mean(0)
            covariance = z.T @ z / (len(z) - 1)
            variance = covariance.diagonal()
            loss = loss + settings.variance_weight * (1 - (variance + 1e-4).sqrt()).relu().mean() / 2
            loss = (
                loss + settings.covariance_weight * (covariance.square().sum() - variance.square().sum()) / z.shape[1]
            )
        return loss

    return [compute_loss]


def make_mib(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of the multi-view information bottleneck."""
    encoder, critic = get_layers(model.encoder_v1), model.critic.bilinear

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        beta = 10 ** (2 * min(epoch / 10, 1) - 3)
        (mean_1, scale_1), (mean_2, scale_2) = (split_normal(encoder(batch[view].flatten(1))) for view in ("v1", "v2"))
        z_1 = mean_1 + scale_1 * torch.randn_like(scale_1)
        z_2 = mean_2 + scale_2 * torch.randn_like(scale_2)
        bound = softplus(-critic(z_1, z_2)).mean() + softplus(critic(z_1, z_2.roll(-1, 0))).mean()
        difference, variance_1, variance_2 = (mean_1 - mean_2).square(), scale_1.square(), scale_2.square()
        ratios = (variance_1 + difference) / variance_2 + (variance_2 + difference) / variance_1
        return bound + beta * (ratios - 2).sum(1).mean() / 4

    return [compute_loss]


def _stack_views(batch: Batch) -> Tensor:
    return torch.cat([batch["v1"], batch["v2"]]).flatten(1)
