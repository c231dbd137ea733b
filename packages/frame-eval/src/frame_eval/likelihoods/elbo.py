"""Evidence lower bound."""

import torch
from torch import Tensor

from frame_core import SCALAR_ENTRY, Evaluation, LogEntry, Optimization, VariationalModel, check_count
from frame_eval.batches import BATCH_SIZE, check_n_samples, iterate_split
from frame_eval.device import get_device


class ELBOEvaluation(Evaluation):
    """Evidence lower bound E_q[log p(x | z)] - KL(q(z | x) || p(z)), in nats, averaged over a split.

    It does not depend on the weight of the regularization term in the loss. So models that were trained with different
    weights can be compared.

    Args:
        evaluate_on: Name of the split.
        n_samples: Number of examples, drawn at random, but the same every time. None, or more than the split has,
            means all.
        n_latent_samples: Number of samples of z per example. More samples reduce the noise.

    Raises:
        TypeError: ``n_samples`` or ``n_latent_samples`` is not an integer.
        ValueError: ``n_samples`` or ``n_latent_samples`` is not positive.

    References:
        Auto-Encoding Variational Bayes (Kingma & Welling, 2014), https://arxiv.org/abs/1312.6114
    """

    requires = VariationalModel

    def __init__(self, evaluate_on: str, n_samples: int | None = None, n_latent_samples: int = 1) -> None:
        self.evaluate_on = evaluate_on
        self.n_samples = check_n_samples(n_samples)
        self.n_latent_samples = check_count("n_latent_samples", n_latent_samples)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Compute the bound.

        Raises:
            ValueError: The split is missing or empty, or the model does not compute the two terms of the bound.
        """
        terms = average_bound_terms(optimization, self.evaluate_on, self.n_samples, self.n_latent_samples)
        return LogEntry(data_type=SCALAR_ENTRY, value=-(terms["reconstruction"] + terms["regularization"]))


def average_bound_terms(
    optimization: Optimization, split: str, n_samples: int | None, n_latent_samples: int
) -> dict[str, Tensor]:
    """Average the two terms of the negative evidence lower bound, in nats, over a split.

    Args:
        optimization: The optimization that has the data and the model, a `VariationalModel`.
        split: Name of the split.
        n_samples: Number of examples, drawn at random, but the same every time. None, or more than the split has,
            means all.
        n_latent_samples: Number of samples of z per example.

    Returns:
        ``reconstruction`` and ``regularization``, scalar tensors.

    Raises:
        ValueError: The split is missing or empty, or the model does not compute the two terms.
    """
    model = optimization.model
    assert isinstance(model, VariationalModel)  # the evaluation's `requires`
    totals = {name: torch.zeros((), device=get_device(model)) for name in ("reconstruction", "regularization")}
    n_seen = 0
    for batch in iterate_split(optimization, split, BATCH_SIZE, n_samples):
        n_seen += len(batch["x"])
        for _ in range(n_latent_samples):
            terms = model.compute_loss_components(batch)
            if not totals.keys() <= terms.keys():
                raise ValueError(
                    f"`{type(model).__name__}.compute_loss_components` must return `reconstruction` and "
                    f"`regularization`, got {', '.join(f'`{name}`' for name in terms)}."
                )
            for name in totals:
                totals[name] += len(batch["x"]) * terms[name]
    return {name: total / (n_seen * n_latent_samples) for name, total in totals.items()}
