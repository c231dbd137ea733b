"""Losses of flows, diffusion and densities, written by hand."""

from math import log, pi
from types import SimpleNamespace
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from benchmarks.loops.layers import get_layers
from benchmarks.loops.method import Batch, Loss


def make_flow_matching(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of flow matching from a ring of eight Gaussians to the plane."""
    network = get_layers(model.vector_field)

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        return _compute_velocity_loss(network, _draw_ring(len(batch["x"])), batch["x"])

    return [compute_loss]


def make_ot_flow_matching(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the same loss with pairs of minibatch optimal transport."""
    network = get_layers(model.vector_field)

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        x_1 = batch["x"]
        x_0 = _draw_ring(len(x_1))
        costs = torch.cdist(x_1.double(), x_0.double()).square()
        _, indices = linear_sum_assignment(costs.numpy())
        return _compute_velocity_loss(network, x_0[torch.from_numpy(indices)], x_1)

    return [compute_loss]


def make_guided_flow_matching(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of flow matching given labels, some of which are dropped."""
    network = get_layers(model.vector_field)
    codes = torch.cat([torch.eye(settings.n_labels), torch.zeros(1, settings.n_labels)])

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        x_1, y = batch["x"].flatten(1), batch["y"]
        y = y.masked_fill(torch.rand(len(y)) < settings.label_dropout, settings.n_labels)
        x_0, t = torch.randn_like(x_1), torch.rand(len(x_1), 1)
        velocity = network(torch.cat([torch.lerp(x_0, x_1, t), t, codes[y]], 1))
        return (velocity - (x_1 - x_0)).square().sum(1).mean()

    return [compute_loss]


def make_ddpm(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of a denoising diffusion model."""
    network = get_layers(model.noise_predictor)
    signal = (1 - torch.linspace(1e-4, 0.02, settings.n_steps, dtype=torch.float64)).cumprod(0).float().unsqueeze(1)

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        x = batch["x"].flatten(1)
        t = torch.randint(1, settings.n_steps + 1, (len(x),))
        noise, a = torch.randn_like(x), signal[t - 1]
        noisy = a.sqrt() * x + (1 - a).sqrt() * noise
        predicted = network(torch.cat([noisy, t.unsqueeze(1) / settings.n_steps], 1))
        return (predicted - noise).square().sum(1).mean()

    return [compute_loss]


def make_density(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of a flow of zuko over the logits of dequantized images."""
    flow, margin, n_levels = model.density.density.transform, model.density.margin, settings.n_levels

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        x = batch["x"].flatten(1)
        v = ((x * (n_levels - 1)).round() + torch.rand_like(x)) / n_levels
        inner = margin + (1 - 2 * margin) * v
        u, log_slope = flow(None).call_and_ladj(inner.logit() / settings.scale)
        of_logits = log((1 - 2 * margin) / settings.scale / n_levels) - (inner * (1 - inner)).log()
        return -(log_slope + (of_logits - 0.5 * u.square() - 0.5 * log(2 * pi)).sum(1)).mean()

    return [compute_loss]


def _draw_ring(n_points: int) -> Tensor:
    """Draw points from eight Gaussians on a circle of radius 5, with variance 0.1."""
    angle = torch.randint(8, (n_points,)) * (pi / 4)
    centers = 5 * torch.stack([angle.cos(), angle.sin()], 1)
    return centers + 0.1**0.5 * torch.randn_like(centers)


def _compute_velocity_loss(network: Any, x_0: Tensor, x_1: Tensor) -> Tensor:
    t = torch.rand(len(x_1), 1)
    velocity = network(torch.cat([torch.lerp(x_0, x_1, t), t], 1))
    return (velocity - (x_1 - x_0)).square().sum(1).mean()
