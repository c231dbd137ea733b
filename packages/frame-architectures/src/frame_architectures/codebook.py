"""Codebook of a vector-quantized representation."""

import torch
from torch import Tensor, nn

from frame_core import check_count

RESTART = 0.01
"""Usage, as a fraction of the mean usage, below which a code is restarted."""


class Codebook(nn.Module):
    """Codes that replace the vectors of a representation: each vector by the nearest code.

    In train mode, each call takes a step of online k-means after the replacement: each code becomes the moving average
    of the vectors that it replaced. So no gradient trains the codes. A code that is hardly used is restarted at a
    random vector of the batch. In the first batch, restarts place most codes.

    With several processes, every codebook follows the batches of rank 0.

    Args:
        n_codes: Number of codes.
        code_dim: Number of dimensions of a code.
        decay: Decay rate of the moving averages. At 0, a code is the mean of the vectors of one batch.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, or ``decay`` is not in [0, 1).

    References:
        Neural Discrete Representation Learning (van den Oord et al., 2017), https://arxiv.org/abs/1711.00937,
        appendix A.1

        Jukebox: A Generative Model for Music (Dhariwal et al., 2020), https://arxiv.org/abs/2005.00341, the source of
        the restarts

    >>> vectors, codes = Codebook(n_codes=64, code_dim=3)(torch.randn(5, 7, 7, 3))
    >>> vectors.shape, codes.shape
    (torch.Size([5, 7, 7, 3]), torch.Size([5, 7, 7]))
    """

    vectors: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, n_codes: int, code_dim: int, decay: float = 0.99) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"`decay` must be at least 0 and below 1, got {decay!r}.")
        self.n_codes = check_count("n_codes", n_codes)
        self.decay = decay
        self.register_buffer("vectors", torch.randn(n_codes, check_count("code_dim", code_dim)))
        self.register_buffer("counts", torch.zeros(n_codes))  # moving average of the number of vectors of each code
        self.register_buffer("sums", torch.zeros(n_codes, code_dim))  # moving average of their sum

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Replace vectors by the nearest codes.

        Args:
            z: Vectors of shape (\\*batch, code_dim).

        Returns:
            The codes, of the same shape, and their indices, of shape (\\*batch,).
        """
        flat = z.detach().flatten(0, -2).to(self.vectors.dtype)
        codes = torch.cdist(flat, self.vectors).argmin(1)
        quantized = self.get_vectors(codes).view(z.shape)
        if self.training:
            self._update(flat, codes)
        return quantized, codes.view(z.shape[:-1])

    def get_vectors(self, codes: Tensor) -> Tensor:
        """Return the vectors of codes (\\*batch,), of shape (\\*batch, code_dim)."""
        return self.vectors[codes]

    @torch.no_grad()
    def _update(self, z: Tensor, codes: Tensor) -> None:
        """Move each code towards the mean of its vectors, given vectors (n, code_dim) and their codes (n,)."""
        self.counts.lerp_(torch.zeros_like(self.counts).index_add_(0, codes, z.new_ones(len(z))), 1 - self.decay)
        self.sums.lerp_(torch.zeros_like(self.sums).index_add_(0, codes, z), 1 - self.decay)
        mean_count = len(z) / self.n_codes
        unused = self.counts < RESTART * mean_count
        restarted = z[torch.randint(len(z), (self.n_codes,), device=z.device)]
        self.counts.copy_(torch.where(unused, mean_count, self.counts))
        self.sums.copy_(torch.where(unused.unsqueeze(1), mean_count * restarted, self.sums))
        self.vectors.copy_(self.sums / self.counts.unsqueeze(1))

    def extra_repr(self) -> str:
        return f"n_codes={self.n_codes}, code_dim={self.vectors.shape[1]}, decay={self.decay}"
