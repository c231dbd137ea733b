"""Loss on a split."""

import torch
from torch import Tensor

from frame_core import SCALARS_ENTRY, Evaluation, LogEntry, Model, Optimization, as_tensors, check_count
from frame_eval.batches import BATCH_SIZE, check_n_samples, iterate_split


class LossEvaluation(Evaluation):
    """Every quantity of a model's ``compute_loss``, averaged over the examples of a split.

    Args:
        evaluate_on: Name of the split.
        n_samples: Number of examples, drawn at random, but the same every time. None, or more than the split has,
            means all.
        batch_size: Number of examples in a batch, which matters if a loss compares the examples of a batch. None: as
            many as is fast.

    Raises:
        TypeError: ``n_samples`` or ``batch_size`` is not an integer.
        ValueError: ``n_samples`` or ``batch_size`` is not positive.
    """

    requires = Model

    def __init__(self, evaluate_on: str, n_samples: int | None = None, batch_size: int | None = None) -> None:
        self.evaluate_on = evaluate_on
        self.n_samples = check_n_samples(n_samples)
        self.batch_size = None if batch_size is None else check_count("batch_size", batch_size)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Compute the quantities.

        Raises:
            ValueError: The split is missing or empty.
        """
        totals: dict[str, Tensor] = {}
        n_seen = 0
        batches = iterate_split(optimization, self.evaluate_on, self.batch_size or BATCH_SIZE, self.n_samples)
        for batch_idx, batch in enumerate(batches):
            n_examples = len(batch["x"])
            for name, value in as_tensors(optimization.model.compute_loss(batch, batch_idx)).items():
                totals[name] = totals.get(name, torch.zeros_like(value)) + n_examples * value
            n_seen += n_examples
        means = (torch.stack(list(totals.values())) / n_seen).tolist()
        return LogEntry(data_type=SCALARS_ENTRY, value=dict(zip(totals, means)))
