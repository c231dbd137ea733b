"""Networks for MNIST and data sets of the same shape, such as Fashion-MNIST."""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn
from torch.distributions import Distribution

from frame_architectures.conv import (
    make_conv_decoder,
    make_conv_encoder,
    make_conv_predictor,
    make_grid_decoder,
    make_grid_encoder,
)
from frame_architectures.dcgan import make_conv_generator, make_conv_score
from frame_architectures.labels import N_LABELS, LabelEncoder, LabelPredictor, append_label
from frame_architectures.layers import Flatten
from frame_architectures.mlp import (
    make_mlp_decoder,
    make_mlp_encoder,
    make_mlp_generator,
    make_mlp_predictor,
    make_mlp_score,
)
from frame_architectures.stochastic import MIN_SCALE
from frame_core import ConditionalDistribution, Delta, check_count

__all__ = [
    "INPUT_SHAPE",
    "N_INPUTS",
    "N_LABELS",
    "ConditionalDecoder",
    "ConditionalEncoder",
    "ConvDecoder",
    "ConvDiscriminator",
    "ConvEncoder",
    "ConvGenerator",
    "ConvLabelClassifier",
    "Decoder",
    "Discriminator",
    "Encoder",
    "Generator",
    "GridDecoder",
    "GridEncoder",
    "LabelClassifier",
    "LabelEncoder",
    "LabelPredictor",
]

INPUT_SHAPE = (1, 28, 28)
N_INPUTS = prod(INPUT_SHAPE)


class Encoder(ConditionalDistribution):
    """Fully connected network from images (\\*batch, 1, 28, 28) to a distribution of event shape (z_dim,).

    Args:
        z_dim: Number of dimensions of the representation.
        layers: Number of units in each hidden layer, such as [1024, 128].
        posterior: ``Normal``, ``Laplace`` or, for a deterministic representation, ``Delta``.
        scale_offset: Offset of the scale before its softplus: softplus(s + scale_offset) + min_scale.
        min_scale: Smallest scale.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, ``posterior`` is unknown, or ``scale_offset`` or ``min_scale`` is set for
            ``Delta``.
    """

    def __init__(
        self,
        z_dim: int,
        layers: Sequence[int],
        posterior: str = "Normal",
        scale_offset: float = 0.0,
        min_scale: float = MIN_SCALE,
    ) -> None:
        super().__init__()
        self.network = make_mlp_encoder(INPUT_SHAPE, z_dim, layers, posterior, scale_offset, min_scale)

    def forward(self, x: Tensor) -> Distribution:
        return self.network(x)


class Decoder(ConditionalDistribution):
    """Fully connected network from (\\*batch, z_dim) to a likelihood of images (1, 28, 28).

    Args:
        z_dim: Number of dimensions of the representation.
        layers: Number of units in each hidden layer, such as [128, 1024].
        likelihood: ``Bernoulli``, ``ContinuousBernoulli``, ``Normal``, ``Laplace`` or ``DiscretizedLogistic``.
        scale: Fixed scale of a likelihood that has one; None for one of each pixel that the network computes.
        min_scale: Smallest scale that the network computes.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, ``likelihood`` is unknown, or has no scale to set.
    """

    def __init__(
        self,
        z_dim: int,
        layers: Sequence[int],
        likelihood: str = "Bernoulli",
        scale: float | None = None,
        min_scale: float = MIN_SCALE,
    ) -> None:
        super().__init__()
        self.network = make_mlp_decoder(z_dim, layers, INPUT_SHAPE, likelihood, scale, min_scale)

    def forward(self, z: Tensor) -> Distribution:
        return self.network(z)


class ConditionalEncoder(ConditionalDistribution):
    """Fully connected network from images (\\*batch, 1, 28, 28) and labels (\\*batch,) to an event of shape (z_dim,).

    Args:
        z_dim: Number of dimensions of the representation.
        layers: Number of units in each hidden layer, such as [1024, 128].

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive.
    """

    def __init__(self, z_dim: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.flatten = Flatten(INPUT_SHAPE)
        self.network = make_mlp_encoder((N_INPUTS + N_LABELS,), z_dim, layers)

    def forward(self, x: Tensor, y: Tensor) -> Distribution:
        return self.network(append_label(self.flatten(x), y))


class ConditionalDecoder(ConditionalDistribution):
    """Fully connected network from (\\*batch, z_dim) and labels (\\*batch,) to a Bernoulli distribution over images.

    Args:
        z_dim: Number of dimensions of the representation.
        layers: Number of units in each hidden layer, such as [128, 1024].

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive.
    """

    def __init__(self, z_dim: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.network = make_mlp_decoder(check_count("z_dim", z_dim) + N_LABELS, layers, INPUT_SHAPE)

    def forward(self, z: Tensor, y: Tensor) -> Distribution:
        return self.network(append_label(z, y))


class ConvEncoder(ConditionalDistribution):
    """Convolutional network from images (\\*batch, 1, 28, 28) to a distribution of event shape (z_dim,).

    Args:
        z_dim: Number of dimensions of the representation.
        channels: Number of channels after each convolution, such as [32, 64]. Each convolution halves the image;
            at most four are possible.
        posterior: ``Normal``, ``Laplace`` or, for a deterministic representation, ``Delta``.
        scale_offset: Offset of the scale before its softplus: softplus(s + scale_offset) + min_scale.
        min_scale: Smallest scale.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, ``channels`` has more than four entries, ``posterior`` is unknown, or
            ``scale_offset`` or ``min_scale`` is set for ``Delta``.
    """

    def __init__(
        self,
        z_dim: int,
        channels: Sequence[int],
        posterior: str = "Normal",
        scale_offset: float = 0.0,
        min_scale: float = MIN_SCALE,
    ) -> None:
        super().__init__()
        self.network = make_conv_encoder(INPUT_SHAPE, z_dim, channels, posterior, scale_offset, min_scale)

    def forward(self, x: Tensor) -> Distribution:
        return self.network(x)


class ConvDecoder(ConditionalDistribution):
    """Convolutional network from (\\*batch, z_dim) to a likelihood of images (1, 28, 28).

    Args:
        z_dim: Number of dimensions of the representation.
        channels: Number of channels before each transposed convolution, such as [64, 32]. Each transposed
            convolution doubles the image; at most four are possible.
        likelihood: ``Bernoulli``, ``ContinuousBernoulli``, ``Normal``, ``Laplace`` or ``DiscretizedLogistic``.
        scale: Fixed scale of a likelihood that has one; None for one of each pixel that the network computes.
        min_scale: Smallest scale that the network computes.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, ``channels`` has more than four entries, or ``likelihood`` is unknown, or
            has no scale to set.
    """

    def __init__(
        self,
        z_dim: int,
        channels: Sequence[int],
        likelihood: str = "Bernoulli",
        scale: float | None = None,
        min_scale: float = MIN_SCALE,
    ) -> None:
        super().__init__()
        self.network = make_conv_decoder(z_dim, channels, INPUT_SHAPE, likelihood, scale, min_scale)

    def forward(self, z: Tensor) -> Distribution:
        return self.network(z)


class GridEncoder(ConditionalDistribution):
    """Convolutional network from images (\\*batch, 1, 28, 28) to a `Delta` over grids (height, width, code_dim).

    Args:
        code_dim: Number of dimensions of each vector of the grid.
        channels: Number of channels after each convolution, such as [32, 64]. Each convolution halves the image;
            at most four are possible. Two lead to a grid of 7 by 7.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, or ``channels`` has more than four entries.
    """

    def __init__(self, code_dim: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.network = make_grid_encoder(INPUT_SHAPE, code_dim, channels)

    def forward(self, x: Tensor) -> Distribution:
        return self.network(x)


class GridDecoder(ConditionalDistribution):
    """Convolutional network from grids (\\*batch, height, width, code_dim) to a Bernoulli distribution over images.

    Args:
        code_dim: Number of dimensions of each vector of the grid.
        channels: Number of channels before each transposed convolution, such as [64, 32]: those of the encoder,
            reversed. Each transposed convolution doubles the grid.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, or ``channels`` has more than four entries.
    """

    def __init__(self, code_dim: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.network = make_grid_decoder(code_dim, channels, INPUT_SHAPE)

    def forward(self, z: Tensor) -> Distribution:
        return self.network(z)


class LabelClassifier(ConditionalDistribution):
    """Fully connected network from images (\\*batch, 1, 28, 28) to a categorical distribution over labels.

    Args:
        layers: Number of units in each hidden layer, such as [1024, 128].

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive.
    """

    def __init__(self, layers: Sequence[int]) -> None:
        super().__init__()
        self.network = make_mlp_predictor(INPUT_SHAPE, layers, N_LABELS)

    def forward(self, x: Tensor) -> Distribution:
        return self.network(x)


class ConvLabelClassifier(ConditionalDistribution):
    """Convolutional network from images (\\*batch, 1, 28, 28) to a categorical distribution over labels.

    Args:
        channels: Number of channels after each convolution, such as [16, 32]. Each convolution halves the image;
            at most four are possible.
        layers: Number of units in each hidden layer after the convolutions, such as [64].

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, or ``channels`` has more than four entries.
    """

    def __init__(self, channels: Sequence[int], layers: Sequence[int]) -> None:
        super().__init__()
        self.network = make_conv_predictor(INPUT_SHAPE, channels, layers, N_LABELS)

    def forward(self, x: Tensor) -> Distribution:
        return self.network(x)


class Generator(ConditionalDistribution):
    """Fully connected network from (\\*batch, z_dim) to images (1, 28, 28) in [0, 1], without noise.

    It uses batch normalization in its hidden layers. In train mode it needs at least two examples.

    Args:
        z_dim: Number of dimensions of the latent variable.
        layers: Number of units in each hidden layer, such as [256, 512, 1024].

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive.
    """

    def __init__(self, z_dim: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.network = make_mlp_generator(z_dim, layers, INPUT_SHAPE)

    def forward(self, z: Tensor) -> Distribution:
        return Delta(self.network(z), len(INPUT_SHAPE))


class Discriminator(nn.Module):
    """Fully connected network from images (\\*batch, 1, 28, 28) to logits, or scores, of shape (\\*batch,).

    It can be used as a critic, because it has no batch normalization.

    Args:
        layers: Number of units in each hidden layer, such as [1024, 512, 256].
        dropout: Probability that a unit is dropped in train mode. Dropout keeps a discriminator from becoming
            overconfident: try 0.3 if the generator does not learn. A critic needs no dropout.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, or ``dropout`` is not in [0, 1).
    """

    def __init__(self, layers: Sequence[int], dropout: float = 0.0) -> None:
        super().__init__()
        self.network = make_mlp_score(INPUT_SHAPE, layers, dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).squeeze(-1)


class ConvGenerator(ConditionalDistribution):
    """Convolutional network of a DCGAN from (\\*batch, z_dim) to images (1, 28, 28) in [0, 1], without noise.

    It uses batch normalization in its hidden layers. In train mode it needs at least two examples.

    Args:
        z_dim: Number of dimensions of the latent variable.
        channels: Number of channels before each transposed convolution, such as [128, 64]. Each transposed convolution
            doubles the image; at most four are possible.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, or ``channels`` is empty or has more than four entries.

    References:
        Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks
        (Radford et al., 2016), https://arxiv.org/abs/1511.06434
    """

    def __init__(self, z_dim: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.network = make_conv_generator(z_dim, channels, INPUT_SHAPE)

    def forward(self, z: Tensor) -> Distribution:
        return Delta(self.network(z), len(INPUT_SHAPE))


class ConvDiscriminator(nn.Module):
    """Convolutional network of a DCGAN from images (\\*batch, 1, 28, 28) to logits of shape (\\*batch,).

    Args:
        channels: Number of channels after each convolution, such as [64, 128]. Each convolution halves the image; at
            most four are possible.
        normalization: ``batch``, as in the paper, or ``spectral``. With ``batch``, a logit depends on the other images
            of the batch, so the network cannot be a critic.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive, ``channels`` is empty or has more than four entries, or ``normalization``
            is unknown.

    References:
        Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks
        (Radford et al., 2016), https://arxiv.org/abs/1511.06434

        Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018),
        https://arxiv.org/abs/1802.05957
    """

    def __init__(self, channels: Sequence[int], normalization: str = "batch") -> None:
        super().__init__()
        self.network = make_conv_score(INPUT_SHAPE, channels, normalization)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).squeeze(-1)
