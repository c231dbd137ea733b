"""The importance-weighted autoencoder of Burda et al. (2016), https://arxiv.org/abs/1509.00519."""

import math

from frame_models import VariationalAutoencoder


class ImportanceWeightedAutoencoder(VariationalAutoencoder):
    def __init__(self, encoder, decoder, prior, n_samples):
        super().__init__(encoder, decoder, prior)
        self.n_samples = n_samples

    def compute_loss(self, data, data_idx):
        log_weights = self.compute_log_weights(data, self.n_samples)
        return {"loss": math.log(self.n_samples) - log_weights.logsumexp(0).mean()}
