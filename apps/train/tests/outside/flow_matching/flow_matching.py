"""Flow matching (Lipman et al., 2023), https://arxiv.org/abs/2210.02747, with straight conditional paths."""

import matplotlib.pyplot as plt
import torch
from torch import nn

from frame_architectures import make_stack
from frame_core import PLOT_ENTRY, Evaluation, GenerativeModel, LogEntry


class FlowMatching(GenerativeModel):
    def __init__(self, n_dims, layers, n_steps):
        super().__init__()
        self.n_dims = n_dims
        self.n_steps = n_steps
        self.velocity = nn.Sequential(make_stack([n_dims + 1, *layers]), nn.Linear(layers[-1], n_dims))

    def compute_velocity(self, x, t):
        return self.velocity(torch.cat([x, t.expand(*x.shape[:-1], 1)], -1))

    def compute_loss(self, data, data_idx):
        x = data["x"]
        noise, t = torch.randn_like(x), torch.rand_like(x[:, :1])
        velocity = self.compute_velocity((1 - t) * noise + t * x, t)
        return {"loss": (velocity - (x - noise)).square().sum(1).mean()}

    def sample(self, sample_shape=torch.Size([]), sample_output=False):
        x = torch.randn(*sample_shape, self.n_dims, device=next(self.parameters()).device)
        for step in range(self.n_steps):
            x = x + self.compute_velocity(x, torch.full_like(x[..., :1], step / self.n_steps)) / self.n_steps
        return x


class Scatter(Evaluation):
    """Generated points in the plane."""

    requires = GenerativeModel

    def __init__(self, n_points):
        self.n_points = n_points

    def evaluate(self, optimization):
        figure, axes = plt.subplots()
        axes.scatter(*optimization.model.sample((self.n_points,)).T.cpu(), s=1)
        return LogEntry(PLOT_ENTRY, figure)
