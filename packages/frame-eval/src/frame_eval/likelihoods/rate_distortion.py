"""Rate, distortion, and the two parts of the rate."""

from math import log

import torch
from torch import Tensor
from torch.distributions import Distribution

from frame_core import (
    SCALARS_ENTRY,
    Evaluation,
    LogEntry,
    Optimization,
    RepresentationLearningModel,
    VariationalModel,
    check_count,
    check_density,
    encode_batch,
    find_missing_methods,
)
from frame_eval.batches import check_n_samples, iterate_split
from frame_eval.likelihoods.elbo import average_bound_terms

_BATCH_SIZE = 100  # every sample is compared with every posterior of a batch at a time


class RateDistortionEvaluation(Evaluation):
    """Terms of the evidence lower bound, in nats per example.

    ``distortion`` is -E_q[log p(x | z)], ``rate`` is KL(q(z | x) || p(z)), both averaged over the examples. The lower
    bound is minus their sum. The rate is itself a sum of two terms: ``mutual_information`` between the index of an
    example and z, which is at most the logarithm of the number of examples, and ``marginal_divergence``
    KL(q(z) || p(z)). The aggregate posterior q(z) is the average of q(z | x) over the examples. The rate of a model
    with several latent variables is that of all of them, and ``marginal_divergence`` then only an upper bound.

    Args:
        evaluate_on: Name of the split.
        n_samples: Number of examples, drawn at random, but the same every time. None, or more than the split has,
            means all. The time grows with its square.
        n_latent_samples: Number of samples of z per example for rate and distortion.

    Raises:
        TypeError: ``n_samples`` or ``n_latent_samples`` is not an integer.
        ValueError: ``n_samples`` or ``n_latent_samples`` is not positive.

    References:
        ELBO surgery: yet another way to carve up the variational evidence lower bound (Hoffman & Johnson, 2016),
        http://approximateinference.org/accepted/HoffmanJohnson2016.pdf

        Fixing a Broken ELBO (Alemi et al., 2018), https://arxiv.org/abs/1711.00464
    """

    requires = VariationalModel

    def __init__(self, evaluate_on: str, n_samples: int | None = None, n_latent_samples: int = 1) -> None:
        self.evaluate_on = evaluate_on
        self.n_samples = check_n_samples(n_samples)
        self.n_latent_samples = check_count("n_latent_samples", n_latent_samples)

    def check(self, optimization: Optimization) -> None:
        """Check that the model has a posterior.

        Raises:
            TypeError: The model has neither ``encode`` nor ``encode_batch``.
        """
        model = type(optimization.model)
        if find_missing_methods(model, RepresentationLearningModel):
            raise TypeError(f"`RateDistortionEvaluation` needs a method `encode`, and `{model.__name__}` has none.")

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Compute the terms.

        Raises:
            TypeError: The posterior has no density.
            ValueError: The split is missing or empty, or the model does not compute the two terms of the bound.
        """
        model = optimization.model
        assert isinstance(model, RepresentationLearningModel)  # `check`
        terms = average_bound_terms(optimization, self.evaluate_on, self.n_samples, self.n_latent_samples)
        batches = iterate_split(optimization, self.evaluate_on, _BATCH_SIZE, self.n_samples)
        information = compute_index_information([encode_batch(model, batch) for batch in batches])
        value = {
            "distortion": terms["reconstruction"],
            "rate": terms["regularization"],
            "mutual_information": information,
            "marginal_divergence": terms["regularization"] - information,
        }
        return LogEntry(data_type=SCALARS_ENTRY, value={name: number.item() for name, number in value.items()})


def compute_index_information(posteriors: list[Distribution]) -> Tensor:
    """Estimate the mutual information between the index of an example and z, in nats.

    With one sample z of each posterior, it is the mean of log q(z | x) - log q(z), where q(z) averages all posteriors.

    Args:
        posteriors: Posteriors of several batches, each of batch shape (batch,).

    Returns:
        Scalar tensor.

    Raises:
        TypeError: A posterior has no density.
    """
    check_density("The mutual information", posteriors[0])
    samples = [q_z.sample() for q_z in posteriors]
    z = torch.cat(samples).unsqueeze(1)
    of_own = torch.cat([q_z.log_prob(sample) for q_z, sample in zip(posteriors, samples)])
    of_all = torch.stack([q_z.log_prob(z).logsumexp(1) for q_z in posteriors]).logsumexp(0) - log(len(z))
    return (of_own - of_all).mean()
