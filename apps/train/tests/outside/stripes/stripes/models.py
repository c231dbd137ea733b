"""A variational autoencoder."""

import torch
from torch.distributions import Independent, Normal, kl_divergence

from frame_core import GenerativeModel, RepresentationLearningModel


class VAE(GenerativeModel, RepresentationLearningModel):
    def __init__(self, encoder, decoder, z_dim, beta):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.beta = beta
        self.register_buffer("zeros", torch.zeros(z_dim))

    @property
    def prior(self):
        return Independent(Normal(self.zeros, torch.ones_like(self.zeros)), 1)

    def compute_loss(self, data, data_idx):
        terms = self.compute_loss_components(data)
        loss = terms["reconstruction"] + self.beta * terms["regularization"]
        return {"loss": loss, **{name: term.item() for name, term in terms.items()}}

    def compute_loss_components(self, data):
        q = self.encode(data["x"])
        log_likelihood = self.decoder(q.rsample()).log_prob(data["x"])
        return {"reconstruction": -log_likelihood.mean(), "regularization": kl_divergence(q, self.prior).mean()}

    def encode(self, x):
        return self.encoder(x)

    def sample(self, sample_shape=torch.Size([]), sample_output=False):
        p = self.decoder(self.prior.sample(sample_shape))
        return p.sample() if sample_output else p.mean
