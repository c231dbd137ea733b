"""Vector-quantized variational autoencoder."""

from collections.abc import Mapping
from math import log

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from frame_core import (
    Delta,
    LatentVariableModel,
    ReconstructionModel,
    VariationalModel,
    check_count,
    check_non_negative,
    check_shapes,
    get_mean,
    get_tensor,
    sample_or_mean,
)


class VectorQuantizedVariationalAutoencoder(LatentVariableModel, ReconstructionModel, VariationalModel):
    """Autoencoder whose representation is a grid of vectors, each the nearest entry of a codebook.

    The loss is -log p(x | z_q) + commitment * |z - sg(z_q)|^2, where z_q has the nearest code of each vector of z, and
    sg stops the gradient. The gradient of the first term passes from z_q to z unchanged (straight-through). The
    codebook trains itself.

    With a uniform prior over the codes, log p(x | z_q) - N log K is a lower bound on log p(x), for N codes of K per
    example. It is the evidence lower bound of `compute_loss_components`.

    Args:
        encoder: Conditional from (batch, \\*x_shape) to an event of shape (\\*grid_shape, code_dim). Its mean is z; the
            usual choice is a `frame_core.Delta`.
        decoder: Likelihood p(x | z), from (batch, \\*grid_shape, code_dim) to an event of shape (\\*x_shape,).
        codebook: From z to z_q, of the same shape, and the indices of its codes, of shape (batch, \\*grid_shape). Its
            attribute ``n_codes`` is K. It trains itself in train mode, as batch normalization does:
            `frame_architectures.Codebook`. `decode_codes` needs its method ``get_vectors(codes)``.
        commitment: Weight of the second term.

    Raises:
        TypeError: ``commitment`` is not a number.
        ValueError: ``commitment`` is negative.

    References:
        Neural Discrete Representation Learning (van den Oord et al., 2017), https://arxiv.org/abs/1711.00937
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, codebook: nn.Module, commitment: float = 0.25) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.codebook = codebook
        self.n_codes = check_count("codebook.n_codes", codebook.n_codes)
        self.commitment = check_non_negative("commitment", commitment)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of a batch with ``data["x"]``.

        Returns:
            ``loss``, ``reconstruction`` (-log p(x | z_q)), the unweighted ``commitment``, and ``perplexity``, the
            exponential of the entropy of the codes of the batch: the number of codes in use if all were used equally.

        Raises:
            TypeError: The encoder's distribution has no mean.
            ValueError: The batch has no ``x``, or the shape of the decoder's distribution does not match the data.
        """
        x = get_tensor(data, "x")
        z = get_mean(self.encoder(x), "encoder")
        z_q, codes = self.codebook(z)
        reconstruction = self._compute_reconstruction_loss(x, z + (z_q - z).detach())
        commitment = (z - z_q.detach()).square().flatten(1).sum(1).mean()
        return {
            "loss": reconstruction + self.commitment * commitment,
            "reconstruction": reconstruction.detach(),
            "commitment": commitment.detach(),
            "perplexity": compute_perplexity(codes, self.n_codes),
        }

    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        x = get_tensor(data, "x")
        z_q, codes = self._quantize(x)
        regularization = codes[0].numel() * log(self.n_codes)
        return {
            "reconstruction": self._compute_reconstruction_loss(x, z_q),
            "regularization": torch.full((), regularization, device=x.device),
        }

    def encode(self, x: Tensor) -> Distribution:
        """Return the quantized representation z_q as a `Delta`."""
        z_q, codes = self._quantize(x)
        return Delta(z_q, codes.ndim)

    def decode(self, z: Tensor) -> Distribution:
        return self.decoder(z)

    def encode_codes(self, x: Tensor) -> Tensor:
        """Return the indices of the codes of x, of shape (batch, \\*grid_shape)."""
        _, codes = self._quantize(x)
        return codes

    def decode_codes(self, codes: Tensor) -> Distribution:
        """Return the distribution p(x | z_q) of the data, given indices of codes of shape (batch, \\*grid_shape)."""
        vectors = self.codebook.get_vectors(codes)  # pyright: ignore[reportCallIssue]  # a method of the codebook
        return self.decoder(vectors)

    def reconstruct(
        self, data: Mapping[str, Tensor], sample_latents: bool = False, sample_output: bool = False
    ) -> Tensor:
        z_q, _ = self._quantize(get_tensor(data, "x"))
        return sample_or_mean(self.decoder(z_q), "sample_output", sample_output)

    def _quantize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.codebook(get_mean(self.encoder(x), "encoder"))

    def _compute_reconstruction_loss(self, x: Tensor, z: Tensor) -> Tensor:
        p_x = self.decoder(z)
        check_shapes("decoder", p_x, x.shape[:1], x.shape[1:])
        return -p_x.log_prob(x).mean()


def compute_perplexity(codes: Tensor, n_codes: int) -> Tensor:
    """Compute exp(-sum_k f_k log f_k), where f_k is the frequency of the code k.

    Args:
        codes: Indices of codes, of any shape.
        n_codes: Number of codes.

    Returns:
        Scalar tensor, between 1 and ``n_codes``.

    >>> compute_perplexity(torch.tensor([0, 0, 3, 3]), n_codes=5)
    tensor(2.)
    """
    shares = torch.full((codes.numel(),), 1 / codes.numel(), device=codes.device)
    frequencies = torch.zeros(n_codes, device=codes.device).index_add_(0, codes.flatten(), shares)
    return torch.special.entr(frequencies).sum().exp()
