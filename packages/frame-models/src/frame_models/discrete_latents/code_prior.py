"""Prior over the codes of a vector-quantized autoencoder."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from frame_core import GenerativeModel, VariationalModel, check_shapes, freeze, get_tensor, sample_or_mean
from frame_models.discrete_latents.vqvae import VectorQuantizedVariationalAutoencoder


class CodePrior(GenerativeModel, VariationalModel):
    """Distribution over the codes of a trained autoencoder, which makes it a generative model.

    The loss is -log p(codes of x). The autoencoder is frozen. Samples are decoded from sampled codes. The lower bound
    log p(x | z_q) + log p(codes) replaces the uniform prior of the autoencoder by the learned one.

    Args:
        autoencoder: The trained autoencoder. It is frozen.
        prior: Marginal over grids of codes, an event of shape (\\*grid_shape,): `frame_architectures.PixelCNN`.

    References:
        Neural Discrete Representation Learning (van den Oord et al., 2017), https://arxiv.org/abs/1711.00937,
        section 3.3
    """

    def __init__(self, autoencoder: VectorQuantizedVariationalAutoencoder, prior: nn.Module) -> None:
        super().__init__()
        self.autoencoder = freeze(autoencoder)
        self.prior = prior

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of a batch with ``data["x"]``.

        Raises:
            ValueError: The batch has no ``x``, or the shape of the prior does not match the codes.
        """
        return {"loss": self._compute_code_loss(get_tensor(data, "x"))}

    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        reconstruction = self.autoencoder.compute_loss_components(data)["reconstruction"]
        return {"reconstruction": reconstruction, "regularization": self._compute_code_loss(get_tensor(data, "x"))}

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        p_x = self.autoencoder.decode_codes(self.prior().sample(sample_shape))
        return sample_or_mean(p_x, "sample_output", sample_output)

    def _compute_code_loss(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            codes = self.autoencoder.encode_codes(x)
        p_codes = self.prior()
        check_shapes("prior", p_codes, torch.Size([]), codes.shape[1:])
        return -p_codes.log_prob(codes).mean()
