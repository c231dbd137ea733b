"""The optimizers of the shipped options, constructed by hand."""

from math import cos, pi
from types import SimpleNamespace

import torch
from torch import nn

from benchmarks.loops.method import Updates


def make_adam(model: nn.Module, settings: SimpleNamespace) -> Updates:
    """Make the optimizer of `optimization=batch_ADAM`."""
    return [(torch.optim.Adam(model.parameters(), lr=settings.lr, fused=True), None)]


def make_adamw_cosine(model: nn.Module, settings: SimpleNamespace) -> Updates:
    """Make the optimizer of `optimization=AdamW_cosine`, and its schedule."""
    named = list(model.named_parameters())
    weights = [parameter for name, parameter in named if not name.endswith(".bias")]
    biases = [parameter for name, parameter in named if name.endswith(".bias")]
    groups = [{"params": weights}, {"params": biases, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=settings.lr, fused=True)
    n_warmup = round(0.05 * settings.n_updates)

    def compute_factor(step: int) -> float:
        if step < n_warmup:
            return (step + 1) / n_warmup
        return 0.5 * (1 + cos(pi * (step - n_warmup) / (settings.n_updates - n_warmup)))

    return [(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, compute_factor))]


def make_adversarial_adam(model: nn.Module, settings: SimpleNamespace) -> Updates:
    """Make the optimizers of `optimization=adversarial_ADAM`: of the discriminator, and of everything else."""
    of_discriminator, others = split_parameters(model)
    betas = tuple(settings.betas)
    return [
        (torch.optim.Adam(of_discriminator, lr=settings.discriminator_lr, betas=betas, fused=True), None),
        (torch.optim.Adam(others, lr=settings.generator_lr, betas=betas, fused=True), None),
    ]


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the parameters of the discriminator, and all others."""
    named = list(model.named_parameters())
    of_discriminator = [parameter for name, parameter in named if name.startswith("discriminator.")]
    others = [parameter for name, parameter in named if not name.startswith("discriminator.")]
    return of_discriminator, others
