"""Importance-sampled bound on the log-likelihood."""

from collections.abc import Mapping
from math import log

import torch
from torch import Tensor

from frame_core import SCALAR_ENTRY, Evaluation, ImportanceSamplingModel, LogEntry, Optimization, check_count
from frame_eval.batches import check_n_samples, get_batch_size, iterate_split, split_draws


class LogLikelihoodEvaluation(Evaluation):
    """Importance-sampled lower bound on log p(x), in nats, averaged over a split.

    The bound is log 1/n sum_i p(x, z_i) / q(z_i | x) with z_1, ..., z_n ~ q(z | x). With one sample it is the
    evidence lower bound. It increases to the log-likelihood with the number of samples.

    Args:
        evaluate_on: Name of the split.
        n_samples: Number of examples, drawn at random, but the same every time. None, or more than the split has,
            means all.
        n_latent_samples: Number of samples of z per example; the paper uses 5000. The time grows with it, the memory
            does not.

    Raises:
        TypeError: ``n_samples`` or ``n_latent_samples`` is not an integer.
        ValueError: ``n_samples`` or ``n_latent_samples`` is not positive.

    References:
        Importance Weighted Autoencoders (Burda et al., 2016), https://arxiv.org/abs/1509.00519
    """

    requires = ImportanceSamplingModel

    def __init__(self, evaluate_on: str, n_samples: int | None = None, n_latent_samples: int = 100) -> None:
        self.evaluate_on = evaluate_on
        self.n_samples = check_n_samples(n_samples)
        self.n_latent_samples = check_count("n_latent_samples", n_latent_samples)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Compute the bound.

        Raises:
            ValueError: The split is missing or empty.
        """
        model = optimization.model
        assert isinstance(model, ImportanceSamplingModel)  # `requires`
        batches = iterate_split(optimization, self.evaluate_on, get_batch_size(self.n_latent_samples), self.n_samples)
        bounds = [self._compute_bounds(model, batch) for batch in batches]
        return LogEntry(data_type=SCALAR_ENTRY, value=torch.cat(bounds).mean())

    def _compute_bounds(self, model: ImportanceSamplingModel, data: Mapping[str, Tensor]) -> Tensor:
        """Compute the bound of each example of a batch, of shape (batch,)."""
        draws = split_draws(self.n_latent_samples, data["x"])
        log_sums = [model.compute_log_weights(data, n).logsumexp(0) for n in draws]
        return torch.stack(log_sums).logsumexp(0) - log(self.n_latent_samples)
