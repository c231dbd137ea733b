"""Evidence lower bound."""

from collections.abc import Mapping

import torch
from torch import Tensor

from frame_core import (
    SCALAR_ENTRY,
    Evaluation,
    LogEntry,
    Optimization,
    VariationalModel,
    get_split,
    iterate_batches,
)
from frame_eval.device import get_device
from frame_eval.options import check_count

BATCH_SIZE = 1000
"""Number of data in the memory of the model's device at a time."""


class ELBOEvaluation(Evaluation):
    """Evidence lower bound E_q[log p(x | z)] - KL(q(z | x) || p(z)), in nats per datum.

    The mean over a whole split, free of the weight that the loss gives to the regularization term:
    models trained with different weights can be compared.

    Args:
        evaluate_on: Name of the split.
        n_samples: Number of samples of z for each datum; the more, the smaller the noise.

    Raises:
        TypeError: ``n_samples`` is no integer.
        ValueError: ``n_samples`` is not positive.

    References:
        Auto-Encoding Variational Bayes (Kingma & Welling, 2014), https://arxiv.org/abs/1312.6114
    """

    requires = VariationalModel

    def __init__(self, evaluate_on: str, n_samples: int = 1) -> None:
        self.evaluate_on = evaluate_on
        self.n_samples = check_count("n_samples", n_samples)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Compute the bound.

        Raises:
            ValueError: The data have no such split, or nothing in it.
        """
        model = optimization.model
        assert isinstance(model, VariationalModel)  # `requires`
        data_set = get_split(optimization.data, self.evaluate_on)
        device = get_device(model)
        total = torch.zeros((), device=device)
        for batch in iterate_batches(data_set, BATCH_SIZE):
            data = {name: value.to(device) for name, value in batch.items()}
            total += len(data["x"]) * self._estimate_bound(model, data)
        return LogEntry(data_type=SCALAR_ENTRY, value=total / len(data_set))

    def _estimate_bound(self, model: VariationalModel, data: Mapping[str, Tensor]) -> Tensor:
        """Estimate the mean of the bound over a batch."""
        terms = [model.compute_loss_components(data) for _ in range(self.n_samples)]
        return -torch.stack([term["reconstruction"] + term["regularization"] for term in terms]).mean()
