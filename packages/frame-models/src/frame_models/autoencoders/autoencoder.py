"""Autoencoder."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.distributions import Distribution

from frame_core import LatentVariableModel, ReconstructionModel, check_shapes, get_mean, get_tensor, sample_or_mean


class Autoencoder(LatentVariableModel, ReconstructionModel):
    """Autoencoder with a deterministic representation, trained on the reconstruction.

    Args:
        encoder: Conditional q(z | x), from (batch, \\*x_shape) to an event of shape (\\*z_shape,). Its mean is
            the representation in the loss; the usual choice is a `frame_core.Delta`.
        decoder: Likelihood p(x | z), from (batch, \\*z_shape) to an event of shape (\\*x_shape,).

    References:
        Reducing the Dimensionality of Data with Neural Networks (Hinton & Salakhutdinov, 2006),
        https://doi.org/10.1126/science.1127647
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the reconstruction loss -log p(x | z) of a batch with ``data["x"]``, in nats.

        Raises:
            TypeError: The encoder's distribution has no mean.
            ValueError: The batch has no ``x``, or the shapes of the distributions do not match the data.
        """
        x = get_tensor(data, "x")
        z = get_mean(self.encode(x), "encoder")
        p_x = self.decode(z)
        check_shapes("decoder", p_x, x.shape[:1], x.shape[1:])
        return {"loss": -p_x.log_prob(x).mean()}

    def encode(self, x: Tensor) -> Distribution:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Distribution:
        return self.decoder(z)

    def reconstruct(
        self, data: Mapping[str, Tensor], sample_latents: bool = False, sample_output: bool = False
    ) -> Tensor:
        z = sample_or_mean(self.encode(get_tensor(data, "x")), "sample_latents", sample_latents)
        return sample_or_mean(self.decode(z), "sample_output", sample_output)
