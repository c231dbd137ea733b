"""Networks for pictures of 8 x 8 pixels."""

from torch import nn
from torch.distributions import Bernoulli, Independent, Normal


class Encoder(nn.Module):
    def __init__(self, z_dim, layers):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, layers[0]), nn.ReLU())
        self.mean = nn.Linear(layers[0], z_dim)
        self.scale = nn.Sequential(nn.Linear(layers[0], z_dim), nn.Softplus())

    def forward(self, x):
        features = self.body(x)
        return Independent(Normal(self.mean(features), self.scale(features) + 1e-3), 1)


class Decoder(nn.Module):
    def __init__(self, z_dim, layers):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(z_dim, layers[0]), nn.ReLU(), nn.Linear(layers[0], 64))

    def forward(self, z):
        return Independent(Bernoulli(logits=self.body(z).unflatten(-1, (1, 8, 8))), 3)
