"""Networks for MNIST and data sets of its shape, such as Fashion-MNIST."""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn
from torch.distributions import Distribution

from frame_architectures.conv import make_conv_decoder, make_conv_encoder
from frame_architectures.mlp import (
    make_mlp_decoder,
    make_mlp_encoder,
    make_mlp_generator,
    make_mlp_predictor,
    make_mlp_score,
)
from frame_core import ConditionalDistribution, Delta, check_count

__all__ = [
    "INPUT_SHAPE",
    "N_INPUTS",
    "N_LABELS",
    "ConvDecoder",
    "ConvEncoder",
    "Decoder",
    "Discriminator",
    "Encoder",
    "Generator",
    "LabelClassifier",
    "LabelPredictor",
]

INPUT_SHAPE = (1, 28, 28)
N_INPUTS = prod(INPUT_SHAPE)
N_LABELS = 10


class Encoder(ConditionalDistribution):
    """Fully connected network from pictures (\\*batch, 1, 28, 28) to a distribution of event shape (z_dim,).

    Args:
        z_dim: Number of dimensions of the representation.
        layers: Number of units in each hidden layer, such as [1024, 128].
        posterior: ``Normal``, ``Laplace`` or, for a deterministic representation, ``Delta``.
        scale_offset: What is added to a scale s before its softplus: softplus(s + scale_offset).

    Raises:
        TypeError: A size is no integer.
        ValueError: A size is not positive, there is no such posterior, or it has no scale to be offset.
    """

    def __init__(self, z_dim: int, layers: Sequence[int], posterior: str = "Normal", scale_offset: float = 0.0) -> None:
        super().__init__()
        self.network = make_mlp_encoder(INPUT_SHAPE, z_dim, layers, posterior, scale_offset)

    def forward(self, x: Tensor) -> Distribution:
        return self.network(x)


class Decoder(ConditionalDistribution):
    """Fully connected network from (\\*batch, z_dim) to a Bernoulli distribution over pictures (1, 28, 28).

    Args:
        z_dim: Number of dimensions of the representation.
        layers: Number of units in each hidden layer, such as [128, 1024].

    Raises:
        TypeError: A size is no integer.
        ValueError: A size is not positive.
    """

    def __init__(self, z_dim: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.network = make_mlp_decoder(z_dim, layers, INPUT_SHAPE)

    def forward(self, z: Tensor) -> Distribution:
        return self.network(z)


class ConvEncoder(ConditionalDistribution):
    """Convolutional network from pictures (\\*batch, 1, 28, 28) to a distribution of event shape (z_dim,).

    Args:
        z_dim: Number of dimensions of the representation.
        channels: Number of channels after each convolution, every one of which halves the picture: at most
            four, such as [32, 64].
        posterior: ``Normal``, ``Laplace`` or, for a deterministic representation, ``Delta``.
        scale_offset: What is added to a scale s before its softplus: softplus(s + scale_offset).

    Raises:
        TypeError: A size is no integer.
        ValueError: A size is not positive, there are too many, there is no such posterior, or it has no
            scale to be offset.
    """

    def __init__(
        self, z_dim: int, channels: Sequence[int], posterior: str = "Normal", scale_offset: float = 0.0
    ) -> None:
        super().__init__()
        self.network = make_conv_encoder(INPUT_SHAPE, z_dim, channels, posterior, scale_offset)

    def forward(self, x: Tensor) -> Distribution:
        return self.network(x)


class ConvDecoder(ConditionalDistribution):
    """Convolutional network from (\\*batch, z_dim) to a Bernoulli distribution over pictures (1, 28, 28).

    Args:
        z_dim: Number of dimensions of the representation.
        channels: Number of channels before each transposed convolution, every one of which doubles the
            picture: at most four, such as [64, 32].

    Raises:
        TypeError: A size is no integer.
        ValueError: A size is not positive, or there are too many.
    """

    def __init__(self, z_dim: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.network = make_conv_decoder(z_dim, channels, INPUT_SHAPE)

    def forward(self, z: Tensor) -> Distribution:
        return self.network(z)


class LabelPredictor(ConditionalDistribution):
    """Fully connected network from a representation (\\*batch, z_dim) to a categorical distribution over labels.

    Args:
        z_dim: Number of dimensions of the representation.
        layers: Number of units in each hidden layer; [] makes it linear.

    Raises:
        TypeError: A size is no integer.
        ValueError: A size is not positive.
    """

    def __init__(self, z_dim: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.network = make_mlp_predictor((check_count("z_dim", z_dim),), layers, N_LABELS)

    def forward(self, z: Tensor) -> Distribution:
        return self.network(z)


class LabelClassifier(ConditionalDistribution):
    """Fully connected network from pictures (\\*batch, 1, 28, 28) to a categorical distribution over labels.

    Args:
        layers: Number of units in each hidden layer, such as [1024, 128].

    Raises:
        TypeError: A size is no integer.
        ValueError: A size is not positive.
    """

    def __init__(self, layers: Sequence[int]) -> None:
        super().__init__()
        self.network = make_mlp_predictor(INPUT_SHAPE, layers, N_LABELS)

    def forward(self, x: Tensor) -> Distribution:
        return self.network(x)


class Generator(ConditionalDistribution):
    """Fully connected network from (\\*batch, z_dim) to pictures (1, 28, 28) in [0, 1], without noise.

    It normalizes its hidden layers over the batch: in train mode, it needs two data at least.

    Args:
        z_dim: Number of dimensions of what is generated from.
        layers: Number of units in each hidden layer, such as [256, 512, 1024].

    Raises:
        TypeError: A size is no integer.
        ValueError: A size is not positive.
    """

    def __init__(self, z_dim: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.network = make_mlp_generator(z_dim, layers, INPUT_SHAPE)

    def forward(self, z: Tensor) -> Distribution:
        return Delta(self.network(z), len(INPUT_SHAPE))


class Discriminator(nn.Module):
    """Fully connected network from pictures (\\*batch, 1, 28, 28) to logits, or scores, of shape (\\*batch,).

    A critic as well: it normalizes nothing over the batch.

    Args:
        layers: Number of units in each hidden layer, such as [1024, 512, 256].
        dropout: Probability that a unit is dropped while the network is trained, which keeps a discriminator
            from being sure of every picture: 0.3, say, where the generator learns nothing. A critic needs none.

    Raises:
        TypeError: A size is no integer.
        ValueError: A size is not positive, or the probability is not in [0, 1).
    """

    def __init__(self, layers: Sequence[int], dropout: float = 0.0) -> None:
        super().__init__()
        self.network = make_mlp_score(INPUT_SHAPE, layers, dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).squeeze(-1)
