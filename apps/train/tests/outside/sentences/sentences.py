"""A variational autoencoder of sentences (Bowman et al., 2016), https://arxiv.org/abs/1511.06349."""

from pathlib import Path

import torch
from torch import nn
from torch.distributions import kl_divergence
from torch.nn.functional import cross_entropy, pad
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from frame_architectures import DiagonalNormal, StochasticLinear
from frame_core import Model, get_value

PADDING, END = 0, 1  # no text has these bytes


class Sentences:
    """Lines `label<TAB>text` of a file, as bytes; every fifth line is for validation."""

    def __init__(self, path, split):
        rows = [line.split("\t") for line in Path(path).read_text().splitlines()]
        self.rows = [row for index, row in enumerate(rows) if (index % 5 == 0) == (split == "valid")]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        label, text = self.rows[index]
        return torch.tensor([*text.encode(), END]), int(label)

    def collate_fn(self, examples):
        texts, labels = zip(*examples)
        x = pad_sequence(texts, batch_first=True, padding_value=PADDING)
        return {"x": x, "length": torch.tensor([len(text) for text in texts]), "y": torch.tensor(labels)}


class SentenceVAE(Model):
    def __init__(self, n_units, z_dim, beta):
        super().__init__()
        self.embed = nn.Embedding(256, n_units)
        self.encoder = nn.GRU(n_units, n_units, batch_first=True)
        self.posterior = StochasticLinear(n_units, z_dim, "Normal")
        self.prior = DiagonalNormal(z_dim)
        self.begin = nn.Linear(z_dim, n_units)
        self.decoder = nn.GRU(n_units, n_units, batch_first=True)
        self.predict = nn.Linear(n_units, 256)
        self.beta = beta

    def compute_loss(self, data, data_idx):
        terms = self.compute_loss_components(data)
        loss = terms["reconstruction"] + get_value(self.beta) * terms["regularization"]
        return {"loss": loss, "beta": get_value(self.beta), **{name: term.detach() for name, term in terms.items()}}

    def compute_loss_components(self, data):
        x, q_z = data["x"], self.encode_batch(data)
        before = pad(x[:, :-1], (1, 0), value=END)
        hidden, _ = self.decoder(self.embed(before), self.begin(q_z.rsample())[None])
        nats = cross_entropy(self.predict(hidden).transpose(1, 2), x, ignore_index=PADDING, reduction="sum")
        return {"reconstruction": nats / len(x), "regularization": kl_divergence(q_z, self.prior()).mean()}

    def encode_batch(self, data):
        lengths = data["length"].cpu()
        packed = pack_padded_sequence(self.embed(data["x"]), lengths, batch_first=True, enforce_sorted=False)
        _, hidden = self.encoder(packed)
        return self.posterior(hidden[0])
