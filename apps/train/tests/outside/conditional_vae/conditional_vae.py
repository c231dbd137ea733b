"""A variational autoencoder of images given their labels (Sohn et al., 2015)."""

import torch
from torch import nn
from torch.distributions import kl_divergence
from torch.nn.functional import one_hot

from frame_architectures import StochasticLinear, make_stack
from frame_core import Model


class LabelledEncoder(nn.Module):
    def __init__(self, z_dim, layers):
        super().__init__()
        self.network = nn.Sequential(make_stack([64 + 10, *layers]), StochasticLinear(layers[-1], z_dim, "Normal"))

    def forward(self, x, y):
        return self.network(torch.cat([x.flatten(1), one_hot(y, 10)], 1))


class ConditionalVAE(Model):
    def __init__(self, encoder, decoder, prior):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.prior = prior

    def compute_loss(self, data, data_idx):
        terms = self.compute_loss_components(data)
        return {"loss": sum(terms.values()), **{name: term.detach() for name, term in terms.items()}}

    def compute_loss_components(self, data):
        q_z = self.encode_batch(data)
        p_x = self.predict(q_z.rsample(), data["y"])
        return {
            "reconstruction": -p_x.log_prob(data["x"]).mean(),
            "regularization": kl_divergence(q_z, self.prior()).mean(),
        }

    def compute_log_weights(self, data, n_samples):
        q_z = self.encode_batch(data)
        z = q_z.rsample((n_samples,))
        return self.predict(z, data["y"]).log_prob(data["x"]) + self.prior().log_prob(z) - q_z.log_prob(z)

    def encode_batch(self, data):
        return self.encoder(data["x"], data["y"])

    def predict(self, z, y):
        return self.decoder(torch.cat([z, one_hot(y, 10).expand(*z.shape[:-1], 10)], -1))

    def reconstruct(self, data, sample_latents=False, sample_output=False):
        q_z = self.encode_batch(data)
        p_x = self.predict(q_z.sample() if sample_latents else q_z.mean, data["y"])
        return p_x.sample() if sample_output else p_x.mean

    def sample(self, sample_shape=torch.Size([]), sample_output=False, *, y):
        p_x = self.predict(self.prior().sample((*sample_shape, *y.shape)), y)
        return p_x.sample() if sample_output else p_x.mean
