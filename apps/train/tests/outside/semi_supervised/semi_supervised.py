"""The semi-supervised autoencoder M2 of Kingma et al. (2014), https://arxiv.org/abs/1406.5298."""

import torch
from torch import nn
from torch.distributions import kl_divergence
from torch.nn.functional import one_hot

from frame_architectures import StochasticLinear, make_stack
from frame_core import ClassificationModel, get_batch
from frame_train.data import InMemoryDataset

N_LABELS = 10
UNKNOWN = -1


class PartlyLabelled(InMemoryDataset):
    """A data set that has lost all but its first labels."""

    def __init__(self, data_set, n_labelled):
        batch = get_batch(data_set, torch.arange(len(data_set)))
        batch["y"][n_labelled:] = UNKNOWN
        super().__init__(batch)


class LabelledEncoder(nn.Module):
    def __init__(self, z_dim, layers):
        super().__init__()
        n_inputs = 64 + N_LABELS
        self.network = nn.Sequential(make_stack([n_inputs, *layers]), StochasticLinear(layers[-1], z_dim, "Normal"))

    def forward(self, x, y):
        return self.network(torch.cat([x.flatten(1), one_hot(y, N_LABELS)], 1))


class SemiSupervisedVAE(ClassificationModel):
    def __init__(self, encoder, decoder, prior, predictor, alpha):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.prior = prior
        self.predictor = predictor
        self.alpha = alpha

    def compute_loss(self, data, data_idx):
        x, y = data["x"], data["y"]
        labelled, q_y = y != UNKNOWN, self.predictor(x)
        y = torch.where(labelled, y, 0)
        every_y = torch.arange(N_LABELS, device=x.device).expand(len(x), -1)
        bounds = self.compute_bounds(x.repeat_interleave(N_LABELS, 0), every_y.flatten()).view(-1, N_LABELS)
        known = bounds.gather(1, y[:, None])[:, 0] + self.alpha * q_y.log_prob(y)
        unknown = (q_y.probs * bounds).sum(1) + q_y.entropy()
        return {
            "loss": -torch.where(labelled, known, unknown).mean(),
            "labelled": labelled.float().mean(),
        }

    def compute_bounds(self, x, y):
        q_z = self.encoder(x, y)
        p_x = self.decoder(torch.cat([q_z.rsample(), one_hot(y, N_LABELS)], 1))
        return p_x.log_prob(x) - kl_divergence(q_z, self.prior())

    def classify(self, data, n_samples=1):
        return self.predictor(data["x"])
