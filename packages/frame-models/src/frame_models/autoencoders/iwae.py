"""Importance-weighted autoencoder."""

from collections.abc import Mapping
from math import log

import torch
from torch import Tensor, nn

from frame_core import check_choice, check_count, get_tensor, reparametrize
from frame_models.autoencoders.encoder_decoder import EncoderDecoderModel
from frame_models.autoencoders.evidence import compute_log_weights

GRADIENTS = ("standard", "STL", "DReG")
"""Estimators of the gradient for the encoder."""


class ImportanceWeightedAutoencoder(EncoderDecoderModel):
    """Latent-variable model trained on the importance-weighted lower bound of the log evidence.

    The loss is -E[log 1/n sum_i w_i] with the weights w_i = p(x, z_i) / q(z_i | x) of n samples z_i ~ q(z | x). With
    one sample it is the negative evidence lower bound. The bound increases to log p(x) with the number of samples.

    Let v_i = w_i / sum_j w_j. The decoder and the prior have the gradient sum_i v_i d log w_i. The
    gradient of the encoder has three estimators. The second and the third have no variance if the posterior is exact:

    - ``standard``: sum_i v_i (dlogw_i/dz_i dz_i - dlogq(z_i)), the gradient of the bound in expectation
    - ``STL``: sum_i v_i dlogw_i/dz_i dz_i, the gradient of the bound with one sample; biased with more
    - ``DReG``: sum_i v_i^2 dlogw_i/dz_i dz_i, the gradient of the bound in expectation

    Args:
        encoder: Posterior q(z | x), from (batch, \\*x_shape) to an event of shape (\\*z_shape,) that can
            be reparameterized.
        decoder: Likelihood p(x | z), from (batch, \\*z_shape) to an event of shape (\\*x_shape,).
        prior: Marginal p(z), an event of shape (\\*z_shape,).
        n_samples: Number of samples of z per example.
        gradient: ``standard``, ``STL`` (sticking the landing) or ``DReG`` (doubly reparameterized).

    Raises:
        TypeError: ``n_samples`` is not an integer.
        ValueError: ``n_samples`` is not positive, or ``gradient`` is unknown.

    References:
        Importance Weighted Autoencoders (Burda et al., 2016), https://arxiv.org/abs/1509.00519

        Sticking the Landing: Simple, Lower-Variance Gradient Estimators for Variational Inference
        (Roeder et al., 2017), https://arxiv.org/abs/1703.09194

        Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives (Tucker et al., 2019),
        https://arxiv.org/abs/1810.04152
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, prior: nn.Module, n_samples: int, gradient: str = "standard"
    ) -> None:
        super().__init__(encoder, decoder, prior)
        self.n_samples = check_count("n_samples", n_samples)
        self.gradient = check_choice("gradient", gradient, GRADIENTS)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the negative importance-weighted bound of a batch.

        Returns:
            ``loss``, and ``elbo``, the evidence lower bound at the same samples.

        Raises:
            TypeError: The encoder's distribution cannot be reparameterized, or has no density.
            ValueError: The batch has no ``x``, or the shapes of the distributions do not match each other or the data.
        """
        x = get_tensor(data, "x")
        q_z = self.encode(x)
        z = reparametrize(q_z, "encoder", torch.Size([self.n_samples]))
        log_weights = compute_log_weights(x, z, q_z, self.prior(), self.decoder)
        if self.gradient != "standard":
            score = q_z.log_prob(z.detach())  # its gradient is that of log q(z | x) that does not lead through z
            log_weights = log_weights + score - score.detach()
        if self.gradient == "DReG" and z.requires_grad:
            _scale_gradient(z, log_weights.detach().softmax(0))
        bounds = log_weights.logsumexp(0) - log(self.n_samples)
        return {"loss": -bounds.mean(), "elbo": log_weights.detach().mean()}


def _scale_gradient(z: Tensor, factors: Tensor) -> None:
    """Multiply the gradient that reaches z, of shape (n_samples, batch, \\*z_shape), by (n_samples, batch) factors."""
    shaped = factors.view(*factors.shape, *[1] * (z.ndim - 2)).to(z.dtype)

    def scale(gradient: Tensor) -> Tensor:
        return shaped * gradient

    z.register_hook(scale)
