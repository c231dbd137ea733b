"""The vector-quantized autoencoder of van den Oord et al. (2017), https://arxiv.org/abs/1711.00937."""

import torch
from torch import nn

from frame_core import HISTOGRAM_ENTRY, Delta, Evaluation, LogEntry, Model, get_split, iterate_batches


class VectorQuantizedAutoencoder(Model):
    def __init__(self, encoder, decoder, n_codes, code_dim, beta=0.25):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.codebook = nn.Parameter(torch.randn(n_codes, code_dim) / n_codes)
        self.beta = beta

    def find_codes(self, z):
        return torch.cdist(z, self.codebook).argmin(-1)

    def encode_continuous(self, x):
        return self.encoder(x).mean.unflatten(-1, (-1, self.codebook.shape[1]))  # (batch, codes, code_dim)

    def compute_loss(self, data, data_idx):
        z = self.encode_continuous(data["x"])
        codes = self.codebook[self.find_codes(z)]
        straight_through = z + (codes - z).detach()
        reconstruction = -self.decoder(straight_through.flatten(1)).log_prob(data["x"]).mean()
        codebook = (codes - z.detach()).square().sum((1, 2)).mean()
        commitment = (codes.detach() - z).square().sum((1, 2)).mean()
        loss = reconstruction + codebook + self.beta * commitment
        return {"loss": loss, "reconstruction": reconstruction.item(), "commitment": commitment.item()}

    def encode(self, x):
        codes = self.codebook[self.find_codes(self.encode_continuous(x))]
        return Delta(codes.flatten(1), 1)

    def reconstruct(self, data, sample_latents=False, sample_output=False):
        p_x = self.decoder(self.encode(data["x"]).mean)
        return p_x.sample() if sample_output else p_x.mean


class CodeHistogram(Evaluation):
    """The index of every code that a split is encoded to."""

    requires = VectorQuantizedAutoencoder

    def __init__(self, evaluate_on):
        self.evaluate_on = evaluate_on

    def evaluate(self, optimization):
        model = optimization.model
        batches = iterate_batches(get_split(optimization.data, self.evaluate_on), 500)
        codes = [model.find_codes(model.encode_continuous(batch["x"])).flatten() for batch in batches]
        return LogEntry(HISTOGRAM_ENTRY, torch.cat(codes))
