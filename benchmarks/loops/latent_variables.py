"""Losses of latent-variable models, written by hand."""

from math import log
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from benchmarks.loops.layers import (
    N_LABELS,
    compute_cross_entropy,
    compute_divergence,
    compute_log_density,
    encode_labels,
    get_layers,
    split_normal,
)
from benchmarks.loops.method import Batch, Loss


def make_ae(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of an autoencoder."""
    encoder, decoder = get_layers(model.encoder), get_layers(model.decoder)

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        x = batch["x"].flatten(1)
        return compute_cross_entropy(decoder(encoder(x)), x)

    return [compute_loss]


def make_vae(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of a variational autoencoder."""
    encoder, decoder = get_layers(model.encoder), get_layers(model.decoder)

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        x = batch["x"].flatten(1)
        mean, scale = split_normal(encoder(x))
        z = mean + scale * torch.randn_like(scale)
        return compute_cross_entropy(decoder(z), x) + settings.beta * compute_divergence(mean, scale).mean()

    return [compute_loss]


def make_cvae(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of a conditional variational autoencoder."""
    encoder, decoder = get_layers(model.encoder), get_layers(model.decoder)

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        x, label = batch["x"].flatten(1), encode_labels(batch["y"])
        mean, scale = split_normal(encoder(torch.cat([x, label], 1)))
        z = mean + scale * torch.randn_like(scale)
        reconstruction = compute_cross_entropy(decoder(torch.cat([z, label], 1)), x)
        return reconstruction + settings.beta * compute_divergence(mean, scale).mean()

    return [compute_loss]


def make_iwae(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of an importance-weighted autoencoder, with the standard gradient."""
    encoder, decoder = get_layers(model.encoder), get_layers(model.decoder)

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        x = batch["x"].flatten(1)
        mean, scale = split_normal(encoder(x))
        noise = torch.randn(settings.n_samples, *scale.shape)
        z = mean + scale * noise
        logits = decoder(z)
        log_likelihood = -binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(2)
        log_ratio = (scale.log() + 0.5 * (noise.square() - z.square())).sum(2)
        return log(settings.n_samples) - (log_likelihood + log_ratio).logsumexp(0).mean()

    return [compute_loss]


def make_beta_tcvae(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of a variational autoencoder with a weighted total correlation."""
    encoder, decoder = get_layers(model.encoder), get_layers(model.decoder)

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        x = batch["x"].flatten(1)
        mean, scale = split_normal(encoder(x))
        z = mean + scale * torch.randn_like(scale)
        bound = compute_cross_entropy(decoder(z), x) + compute_divergence(mean, scale).mean()
        pairs = compute_log_density(z.unsqueeze(1), mean, scale)
        joint, marginals = pairs.sum(2).logsumexp(1), pairs.logsumexp(1).sum(1)
        total_correlation = (joint - marginals).mean() + (z.shape[1] - 1) * log(len(z))
        return bound + (settings.beta - 1) * total_correlation

    return [compute_loss]


def make_categorical_vae(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of a variational autoencoder with categorical latents."""
    encoder, decoder = get_layers(model.encoder), get_layers(model.decoder)

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        x = batch["x"].flatten(1)
        temperature, beta = 0.5 ** min(epoch / settings.n_epochs, 1), min(epoch / 100, 1)
        log_q = encoder(x).view(len(x), settings.n_latents, settings.n_categories).log_softmax(2)
        gumbel = -torch.empty_like(log_q).exponential_().log()
        z = ((log_q + gumbel) / temperature).softmax(2)
        negative_entropy = (log_q.exp() * log_q).sum((1, 2)).mean()
        divergence = negative_entropy + settings.n_latents * log(settings.n_categories)
        return compute_cross_entropy(decoder(z.flatten(1)), x) + beta * divergence

    return [compute_loss]


def make_hierarchical_vae(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of a variational autoencoder with two levels of latents."""
    encoder, decoder = get_layers(model.encoder), get_layers(model.decoder)
    upper_encoder, upper_decoder = get_layers(model.upper_encoder), get_layers(model.upper_decoder)

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        x = batch["x"].flatten(1)
        mean, scale = split_normal(encoder(x))
        noise = torch.randn_like(scale)
        z = mean + scale * noise
        upper_mean, upper_scale = split_normal(upper_encoder(z))
        upper_noise = torch.randn_like(upper_scale)
        u = upper_mean + upper_scale * upper_noise
        lower_ratio = compute_log_density(z, *split_normal(upper_decoder(u))) + scale.log() + 0.5 * noise.square()
        upper_ratio = upper_scale.log() + 0.5 * (upper_noise.square() - u.square())
        divergence = -(lower_ratio.sum(1) + 0.5 * log(2 * torch.pi) * z.shape[1] + upper_ratio.sum(1)).mean()
        return compute_cross_entropy(decoder(z), x) + min(epoch / 50, 1) * divergence

    return [compute_loss]


def make_m2(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of a semi-supervised variational autoencoder."""
    encoder, decoder, predictor = (get_layers(part) for part in (model.encoder, model.decoder, model.predictor))

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        x, y = batch["x"].flatten(1), batch["y"]
        log_q = predictor(x).log_softmax(1)
        every_x, label = x.repeat_interleave(N_LABELS, 0), torch.eye(N_LABELS).repeat(len(x), 1)
        mean, scale = split_normal(encoder(torch.cat([every_x, label], 1)))
        z = mean + scale * torch.randn_like(scale)
        logits = decoder(torch.cat([z, label], 1))
        log_likelihood = -binary_cross_entropy_with_logits(logits, every_x, reduction="none").sum(1)
        bounds = (log_likelihood - compute_divergence(mean, scale)).view(-1, N_LABELS) - log(N_LABELS)
        of_known = bounds.gather(1, y.clamp(min=0).unsqueeze(1)).squeeze(1)
        of_unknown = (log_q.exp() * (bounds - log_q)).sum(1)
        prediction = cross_entropy(log_q, y, ignore_index=-1, reduction="sum") / len(x)
        return settings.alpha * prediction - torch.where(y >= 0, of_known, of_unknown).mean()

    return [compute_loss]


def make_vqvae(model: Any, settings: SimpleNamespace) -> list[Loss]:
    """Make the loss of a vector-quantized autoencoder, whose codes follow moving averages with restarts."""
    encoder, decoder = get_layers(model.encoder)[1:], get_layers(model.decoder)
    vectors, counts, sums = (part.clone() for part in model.codebook.buffers())

    def quantize(z: Tensor) -> Tensor:
        codes = torch.cdist(z, vectors).argmin(1)
        quantized = vectors[codes]
        counts.lerp_(torch.zeros_like(counts).index_add_(0, codes, torch.ones(len(z))), 1 - settings.decay)
        sums.lerp_(torch.zeros_like(sums).index_add_(0, codes, z), 1 - settings.decay)
        mean_count = len(z) / len(counts)
        unused = counts < 0.01 * mean_count
        restarted = z[torch.randint(len(z), (len(counts),))]
        sums.copy_(torch.where(unused.unsqueeze(1), mean_count * restarted, sums))
        counts.masked_fill_(unused, mean_count)
        vectors.copy_(sums / counts.unsqueeze(1))
        return quantized

    def compute_loss(batch: Batch, epoch: float) -> Tensor:
        z = encoder(batch["x"]).movedim(1, 3)
        z_q = quantize(z.detach().flatten(0, 2)).view(z.shape)
        grid = (z + (z_q - z).detach()).movedim(3, 1).contiguous()  # convolutions of other layouts are slower
        reconstruction = compute_cross_entropy(decoder(grid), batch["x"])
        return reconstruction + settings.commitment * (z - z_q).square().sum() / len(z)

    return [compute_loss]
