"""Semi-supervised variational autoencoder."""

from collections.abc import Mapping
from math import log

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution

from frame_core import (
    ClassificationModel,
    GenerativeModel,
    ReconstructionModel,
    Schedule,
    VariationalModel,
    check_non_negative,
    check_shapes,
    get_tensor,
    get_value,
    kl_divergence,
    reparametrize,
    sample_or_mean,
)


class SemiSupervisedVariationalAutoencoder(ClassificationModel, GenerativeModel, ReconstructionModel, VariationalModel):
    """Latent-variable model M2 of data and labels, of which only some labels are known: p(x | z, y) p(z) p(y).

    The prior p(y) is uniform. The lower bound of an example is that of log p(x, y) if its label is known, else that of
    log p(x) = log sum_y p(x, y), averaged over the labels that the predictor q(y | x) expects. The loss is the
    negative bound, plus alpha times -log q(y | x) for each known label.

    A label that is negative, such as -1, is unknown. The decoder is called for each label of each example.

    Args:
        encoder: Posterior q(z | x, y), from (batch, \\*x_shape) and labels (batch,) to an event of shape (\\*z_shape,)
            that can be reparameterized.
        decoder: Likelihood p(x | z, y), from (batch, \\*z_shape) and labels (batch,) to an event of shape
            (\\*x_shape,).
        prior: Marginal p(z), an event of shape (\\*z_shape,).
        predictor: Posterior q(y | x), from (batch, \\*x_shape) to a `Categorical` over labels.
        alpha: Weight of the loss of the predictor, a number or a schedule. In the paper, it is 0.1 divided by the
            fraction of examples with a label.

    Raises:
        TypeError: ``alpha`` is neither a number nor a schedule.
        ValueError: ``alpha`` is negative.

    References:
        Semi-Supervised Learning with Deep Generative Models (Kingma et al., 2014), https://arxiv.org/abs/1406.5298
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, prior: nn.Module, predictor: nn.Module, alpha: float | Schedule
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.prior = prior
        self.predictor = predictor
        self.alpha = check_non_negative("alpha", alpha)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of a batch with ``x`` and ``y``, some of which are negative.

        Returns:
            ``loss``, the lower bound ``elbo``, the loss ``prediction`` of the predictor, averaged over all examples,
            and the fraction ``labelled`` of examples whose label is known.

        Raises:
            TypeError: The encoder's distribution cannot be reparameterized, or the predictor's is not a `Categorical`.
            ValueError: The batch has no ``x`` or ``y``, or the shapes of the distributions do not match each other or
                the data.
        """
        x, y = get_tensor(data, "x"), get_tensor(data, "y")
        is_known, index = y >= 0, y.clamp(min=0)
        q_y = self._predict(x)
        log_likelihood, divergence = self._compute_terms(x, q_y)
        bounds = log_likelihood - divergence - log(q_y.probs.shape[1])  # of log p(x, y) for each y
        of_known = bounds.gather(1, index.unsqueeze(1)).squeeze(1)
        of_unknown = (q_y.probs * bounds).sum(1) + q_y.entropy()
        bound = torch.where(is_known, of_known, of_unknown).mean()
        prediction = torch.where(is_known, -q_y.log_prob(index), 0).mean()
        return {
            "loss": get_value(self.alpha) * prediction - bound,
            "elbo": bound.detach(),
            "prediction": prediction.detach(),
            "labelled": is_known.float().mean(),
        }

    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compute the two terms of the negative lower bound on log p(x), in nats. Labels are not used."""
        x = get_tensor(data, "x")
        q_y = self._predict(x)
        log_likelihood, divergence = self._compute_terms(x, q_y)
        of_labels = log(q_y.probs.shape[1]) - q_y.entropy()  # KL(q(y | x) || p(y))
        return {
            "reconstruction": -(q_y.probs * log_likelihood).sum(1).mean(),
            "regularization": ((q_y.probs * divergence).sum(1) + of_labels).mean(),
        }

    def classify(self, data: Mapping[str, Tensor], n_samples: int = 1) -> Distribution:
        return self._predict(get_tensor(data, "x"))

    def reconstruct(
        self, data: Mapping[str, Tensor], sample_latents: bool = False, sample_output: bool = False
    ) -> Tensor:
        """Reconstruct a batch from its representations, given the most probable label of each example."""
        x = get_tensor(data, "x")
        y = self._predict(x).probs.argmax(1)
        z = sample_or_mean(self.encoder(x, y), "sample_latents", sample_latents)
        return sample_or_mean(self.decoder(z, y), "sample_output", sample_output)

    def sample(  # pyright: ignore[reportIncompatibleMethodOverride]  # it needs a label
        self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False, *, y: Tensor
    ) -> Tensor:
        """Generate data given labels ``y`` of shape (batch,), ``sample_shape`` for each."""
        z = self.prior().sample(torch.Size([*sample_shape, len(y)]))
        p_x = self.decoder(z, y.expand(*sample_shape, *y.shape))
        return sample_or_mean(p_x, "sample_output", sample_output)

    def _predict(self, x: Tensor) -> Categorical:
        q_y = self.predictor(x)
        if not isinstance(q_y, Categorical):
            raise TypeError(f"`predictor` must return a `Categorical` distribution over labels, got {q_y!r}.")
        check_shapes("predictor", q_y, x.shape[:1], torch.Size([]))
        return q_y

    def _compute_terms(self, x: Tensor, q_y: Categorical) -> tuple[Tensor, Tensor]:
        """Estimate E[log p(x | z, y)], and compute KL(q(z | x, y) || p(z)), each of shape (batch, n_labels)."""
        n_labels = q_y.probs.shape[1]
        every_x = x.repeat_interleave(n_labels, 0)
        every_y = torch.arange(n_labels, device=x.device).repeat(len(x))
        q_z, p_z = self.encoder(every_x, every_y), self.prior()
        z = reparametrize(q_z, "encoder")
        check_shapes("encoder", q_z, every_x.shape[:1], z.shape[1:])
        check_shapes("prior", p_z, torch.Size([]), z.shape[1:])
        p_x = self.decoder(z, every_y)
        check_shapes("decoder", p_x, every_x.shape[:1], x.shape[1:])
        shape = (len(x), n_labels)
        return p_x.log_prob(every_x).view(shape), kl_divergence(q_z, p_z, z).view(shape)
