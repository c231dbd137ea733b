"""Mutual information gap of a disentangled representation."""

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn.functional import one_hot

from frame_core import (
    SCALAR_ENTRY,
    LogEntry,
    Optimization,
    RepresentationLearningModel,
    encode_batch,
    get_elementwise,
)
from frame_eval.batches import check_n_samples, iterate_split
from frame_eval.representations.factors import FactorEvaluation, collect_factors

_BATCH_SIZE = 100  # every sample is compared with every posterior of a batch at a time


class MutualInformationGapEvaluation(FactorEvaluation):
    """Mutual information gap (MIG): how much more of a factor is in one latent dimension than in any other.

    For each known factor v, it is the difference of the two largest mutual informations I(z_d; v), in fractions of the
    entropy of v. The result is the mean over the factors. It is 1 if each factor is determined by a dimension of its
    own, and 0 if each is in two dimensions equally, or in none.

    The mutual informations are those of samples of q(z | x) for the examples of the split, each of which has
    ``factors``, a vector of integers.

    Args:
        evaluate_on: Name of the split.
        n_samples: Number of examples, drawn at random, but the same every time. None, or more than the split has,
            means all. The time grows with its square.

    Raises:
        TypeError: ``n_samples`` is not an integer.
        ValueError: ``n_samples`` is not positive.

    References:
        Isolating Sources of Disentanglement in Variational Autoencoders (Chen et al., 2018),
        https://arxiv.org/abs/1802.04942
    """

    def __init__(self, evaluate_on: str, n_samples: int | None = None) -> None:
        super().__init__(evaluate_on)
        self.n_samples = check_n_samples(n_samples)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Compute the gap.

        Raises:
            TypeError: The latent dimensions are not independent given x, or have no density.
            ValueError: A factor has one value, or another one for each example, or the representation has one
                dimension.
        """
        model = optimization.model
        assert isinstance(model, RepresentationLearningModel)  # `requires`
        batches = list(iterate_split(optimization, self.evaluate_on, _BATCH_SIZE, self.n_samples))
        posteriors = [get_elementwise(encode_batch(model, batch), "encode") for batch in batches]
        factors = collect_factors(batches, self.evaluate_on)
        information = compute_mutual_information(posteriors, factors)
        self.check_dimensions(information.shape[1])
        entropies = torch.stack([_compute_entropy(factor) for factor in factors.unbind(1)])
        largest = information.topk(2).values
        return LogEntry(data_type=SCALAR_ENTRY, value=((largest[:, 0] - largest[:, 1]) / entropies).mean())


def compute_mutual_information(posteriors: list[Distribution], factors: Tensor) -> Tensor:
    """Estimate the mutual information of each factor and each latent dimension, in nats.

    With one sample z of each posterior, it is the mean of log q(z_d | v) - log q(z_d). The second density averages all
    posteriors, the first those of the examples whose factor has the value v.

    Args:
        posteriors: Posteriors of several batches, each of batch shape (batch, \\*z_shape) and an empty event shape.
        factors: Integer tensor of shape (n_samples, n_factors), for all batches together.

    Returns:
        Tensor of shape (n_factors, z_dim).
    """
    z = torch.cat([q_z.sample() for q_z in posteriors])
    codes = [one_hot(factor).to(z.dtype) for factor in factors.unbind(1)]
    sums = z.new_zeros(len(z), z[0].numel(), sum(code.shape[1] for code in codes))
    per_batch = torch.cat(codes, 1).split([q_z.batch_shape[0] for q_z in posteriors])
    for q_z, code in zip(posteriors, per_batch):
        densities = q_z.log_prob(z.unsqueeze(1)).exp().flatten(2)  # of each sample in each posterior
        sums += densities.transpose(1, 2) @ code
    information: list[Tensor] = []
    for sums_by_value, code in zip(sums.split([code.shape[1] for code in codes], dim=2), codes):
        conditional = (sums_by_value * code.unsqueeze(1)).sum(2) / (code @ code.sum(0)).unsqueeze(1)
        marginal = sums_by_value.sum(2) / len(z)
        information.append((conditional.log() - marginal.log()).mean(0))
    return torch.stack(information)


def _compute_entropy(values: Tensor) -> Tensor:
    """Compute the entropy of the empirical distribution of integers, in nats."""
    return torch.special.entr(values.bincount() / len(values)).sum()
