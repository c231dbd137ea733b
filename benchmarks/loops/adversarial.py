"""Losses of adversarial models, written by hand: of the discriminator, then of the generator."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from benchmarks.loops.layers import compute_cross_entropy, compute_divergence, get_layers, split_normal
from benchmarks.loops.method import Batch, Loss


def make_gan(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the losses of a generative adversarial network of convolutions."""
    generator, discriminator = get_layers(model.generator), get_layers(model.discriminator)
    convolutions, last = discriminator[1:-1], discriminator[-1]

    def generate(batch: Batch) -> Tensor:
        return generator(torch.randn(len(batch["x"]), settings.z_dim))

    def discriminate(x: Tensor) -> Tensor:
        return last(convolutions(2 * x - 1).flatten(1))

    def compute_discriminator_loss(batch: Batch, epoch: float) -> Tensor:
        with torch.no_grad():
            fake = generate(batch)
        return softplus(-discriminate(batch["x"])).mean() + softplus(discriminate(fake)).mean()

    def compute_generator_loss(batch: Batch, epoch: float) -> Tensor:
        return softplus(-discriminate(generate(batch))).mean()

    return [compute_discriminator_loss, compute_generator_loss]


def make_wgan_gp(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the losses of a Wasserstein GAN with gradient penalty."""
    generator, critic = get_layers(model.generator), get_layers(model.discriminator)

    def generate(x: Tensor) -> Tensor:
        return generator(torch.randn(len(x), settings.z_dim)).flatten(1)

    def score(x: Tensor) -> Tensor:
        return critic(2 * x - 1)

    def compute_critic_loss(batch: Batch, epoch: float) -> Tensor:
        x = batch["x"].flatten(1)
        with torch.no_grad():
            fake = generate(x)
        distance = score(x).mean() - score(fake).mean()
        points = torch.lerp(fake, x, torch.rand(len(x), 1)).requires_grad_()
        (slopes,) = torch.autograd.grad(score(points).sum(), points, create_graph=True)
        return settings.penalty_weight * (slopes.norm(dim=1) - 1).square().mean() - distance

    def compute_generator_loss(batch: Batch, epoch: float) -> Tensor:
        return -score(generate(batch["x"])).mean()

    return [compute_critic_loss, compute_generator_loss]


def make_factor_vae(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the losses of a variational autoencoder with a discriminator of latents."""
    encoder, decoder, discriminator = (get_layers(part) for part in (model.encoder, model.decoder, model.discriminator))

    def sample(mean: Tensor, scale: Tensor) -> Tensor:
        return mean + scale * torch.randn_like(scale)

    def compute_discriminator_loss(batch: Batch, epoch: float) -> Tensor:
        with torch.no_grad():
            mean, scale = split_normal(encoder(batch["x"].flatten(1)))
            z, other = sample(mean, scale), sample(mean, scale)
            permuted = other.gather(0, torch.rand_like(other).argsort(0))
        return softplus(-discriminator(z)).mean() + softplus(discriminator(permuted)).mean()

    def compute_autoencoder_loss(batch: Batch, epoch: float) -> Tensor:
        x = batch["x"].flatten(1)
        mean, scale = split_normal(encoder(x))
        z = sample(mean, scale)
        bound = compute_cross_entropy(decoder(z), x) + compute_divergence(mean, scale).mean()
        return bound + settings.gamma * discriminator(z).mean()

    return [compute_discriminator_loss, compute_autoencoder_loss]
