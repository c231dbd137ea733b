"""Number of latent dimensions in use."""

from frame_core import (
    SCALAR_ENTRY,
    Evaluation,
    LogEntry,
    Optimization,
    RepresentationLearningModel,
    check_positive,
)
from frame_eval.batches import check_n_samples
from frame_eval.representations.encoding import encode_split


class ActiveUnitsEvaluation(Evaluation):
    """Number of latent dimensions whose posterior mean varies over the data: those with Var_x(E[z_d | x]) > threshold.

    Args:
        evaluate_on: Name of the split.
        n_samples: Number of examples, drawn at random, but the same every time. None, or more than the split has,
            means all.
        threshold: Variance above which a dimension is active.

    Raises:
        TypeError: ``n_samples`` is not an integer, or ``threshold`` is not a number.
        ValueError: One of them is not positive.

    References:
        Importance Weighted Autoencoders (Burda et al., 2016), https://arxiv.org/abs/1509.00519
    """

    requires = RepresentationLearningModel

    def __init__(self, evaluate_on: str, n_samples: int | None = None, threshold: float = 0.01) -> None:
        self.evaluate_on = evaluate_on
        self.n_samples = check_n_samples(n_samples)
        self.threshold = check_positive("threshold", threshold)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Count the dimensions.

        Raises:
            TypeError: The representation has no mean.
            ValueError: The split is missing or empty, or a representation is not finite.
        """
        z, _ = encode_split(optimization, self.evaluate_on, self.n_samples)
        n_active = (z.var(0, correction=0) > self.threshold).sum()
        return LogEntry(data_type=SCALAR_ENTRY, value=n_active)
