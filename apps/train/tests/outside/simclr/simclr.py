"""SimCLR (Chen et al., 2020), https://arxiv.org/abs/2002.05709."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from frame_core import RepresentationLearningModel


class SimCLR(RepresentationLearningModel):
    def __init__(self, encoder, projector, temperature):
        super().__init__()
        self.encoder = encoder
        self.projector = projector
        self.temperature = temperature

    def compute_loss(self, data, data_idx):
        views = torch.cat([data["v1"], data["v2"]])
        z = normalize(self.projector(self.encode(views).mean))
        similarities = z @ z.T / self.temperature
        similarities.fill_diagonal_(-torch.inf)
        partners = torch.arange(len(z), device=z.device).roll(len(z) // 2)
        accuracy = (similarities.argmax(1) == partners).float().mean()
        return {"loss": cross_entropy(similarities, partners), "accuracy": accuracy}

    def encode(self, x):
        return self.encoder(x)


class Noise(nn.Module):
    """Adds noise to each pixel."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, x):
        return x + self.scale * torch.randn_like(x)
