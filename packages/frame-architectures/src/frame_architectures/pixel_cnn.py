"""Autoregressive distribution over grids of codes."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, constraints
from torch.nn.functional import relu

from frame_core import MarginalDistribution, check_count, check_sizes


class PixelCNN(MarginalDistribution):
    """Distribution over grids of codes, each given those before it: row by row, from left to right.

    Masked convolutions compute all conditional distributions of a grid at once, so a density takes one pass. A sample
    takes a pass for each code.

    Args:
        grid_shape: Height and width of a grid.
        n_codes: Number of codes.
        channels: Number of channels of each convolution.
        n_layers: Number of convolutions of size 3 after the first, which has size 5.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, or ``grid_shape`` does not have two entries.

    References:
        Pixel Recurrent Neural Networks (van den Oord et al., 2016), https://arxiv.org/abs/1601.06759
    """

    def __init__(self, grid_shape: Sequence[int], n_codes: int, channels: int = 64, n_layers: int = 4) -> None:
        super().__init__()
        self.grid_shape = torch.Size(check_sizes("grid_shape", grid_shape))
        if len(self.grid_shape) != 2:
            raise ValueError(f"`grid_shape` must have two entries, got {tuple(self.grid_shape)}.")
        self.embedding = nn.Embedding(check_count("n_codes", n_codes), check_count("channels", channels))
        self.first = _MaskedConv(channels, kernel_size=5, sees_itself=False)
        layers = [
            _MaskedConv(channels, kernel_size=3, sees_itself=True) for _ in range(check_count("n_layers", n_layers))
        ]
        self.layers = nn.ModuleList(layers)
        self.last = nn.Linear(channels, n_codes)

    def compute_logits(self, codes: Tensor) -> Tensor:
        """Return the logits of each code given those before it, of shape (batch, height, width, n_codes).

        Args:
            codes: Grids of codes of shape (batch, height, width).
        """
        features = self.first(self.embedding(codes).movedim(-1, 1))
        for layer in self.layers:
            features = features + layer(relu(features))
        return self.last(relu(features).movedim(1, -1))

    def forward(self) -> Distribution:
        return _Autoregressive(self)


class _Autoregressive(Distribution):
    """Distribution of a `PixelCNN`, with an empty batch shape."""

    def __init__(self, network: PixelCNN) -> None:
        self._network = network
        super().__init__(torch.Size([]), network.grid_shape, validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        return {}

    def log_prob(self, value: Tensor) -> Tensor:
        codes = value.reshape(-1, *self.event_shape)
        p_codes = Categorical(logits=self._network.compute_logits(codes), validate_args=False)
        return Independent(p_codes, 2, validate_args=False).log_prob(codes).view(value.shape[:-2])

    @torch.no_grad()
    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = torch.Size(sample_shape)
        height, width = self.event_shape
        codes = torch.zeros(
            shape.numel(), height, width, dtype=torch.long, device=self._network.embedding.weight.device
        )
        for row in range(height):
            for column in range(width):
                logits = self._network.compute_logits(codes)[:, row, column]
                codes[:, row, column] = Categorical(logits=logits, validate_args=False).sample()
        return codes.view(*shape, height, width)


class _MaskedConv(nn.Conv2d):
    """Convolution whose output sees only what is before it: above, or to the left in its own row.

    Args:
        channels: Number of channels of the input and of the output.
        kernel_size: Size of the kernel, an odd number.
        sees_itself: Whether the output sees the input at its own position, too.
    """

    mask: Tensor

    def __init__(self, channels: int, kernel_size: int, sees_itself: bool) -> None:
        super().__init__(channels, channels, kernel_size, padding=kernel_size // 2)
        n_before = kernel_size * kernel_size // 2
        before = torch.arange(kernel_size * kernel_size) < n_before + sees_itself
        self.register_buffer("mask", before.view(kernel_size, kernel_size))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # the name in torch
        return self._conv_forward(input, self.weight * self.mask, self.bias)
