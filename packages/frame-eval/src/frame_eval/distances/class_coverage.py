"""Labels of generated examples, according to a classifier."""

import torch
from torch import Tensor, nn

from frame_core import SCALARS_ENTRY, Evaluation, GenerativeModel, LogEntry, Optimization, check_count
from frame_eval.conditions import check_generation
from frame_eval.distances.features import compute_features


class ClassCoverageEvaluation(Evaluation):
    """How many labels of real examples are among those of generated ones, and how different their frequencies are.

    The label of an example, real or generated, is the most probable one of a classifier. ``covered`` is the fraction of
    the labels of real examples that at least one generated example has. ``divergence`` is KL(p || q) in nats, of the
    frequencies p of generated and q of real examples. It is infinite if a label has no real example.

    A conditional model generates each example given the conditions of a random example of the split, such as its label.

    Args:
        evaluate_on: Name of the split, using all its examples.
        classifier: Network from examples (batch, \\*x_shape) to logits (batch, n_labels).
        n_samples: Number of generated examples.

    Raises:
        TypeError: ``n_samples`` is not an integer.
        ValueError: ``n_samples`` is not positive.

    References:
        VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning (Srivastava et al., 2017),
        https://arxiv.org/abs/1705.07761, which counts modes in this way
    """

    requires = GenerativeModel

    def __init__(self, evaluate_on: str, classifier: nn.Module, n_samples: int = 10_000) -> None:
        self.evaluate_on = evaluate_on
        self.classifier = classifier
        self.n_samples = check_count("n_samples", n_samples)

    def check(self, optimization: Optimization) -> None:
        check_generation(optimization, self.evaluate_on)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Compute both numbers.

        Raises:
            ValueError: The logits are not vectors, or not finite.
        """
        real, fake = compute_features(optimization, self.evaluate_on, self.classifier, self.n_samples)
        n_labels = real.shape[1]
        of_real, of_fake = (logits.argmax(1).bincount(minlength=n_labels) for logits in (real, fake))
        covered = ((of_real > 0) & (of_fake > 0)).sum() / (of_real > 0).sum()
        divergence = compute_divergence(of_fake, of_real)
        return LogEntry(data_type=SCALARS_ENTRY, value={"covered": covered.item(), "divergence": divergence.item()})


def compute_divergence(first: Tensor, second: Tensor) -> Tensor:
    """Compute the KL divergence of the frequencies of two integer tensors of counts, in nats."""
    p, q = first.double() / first.sum(), second.double() / second.sum()
    return torch.where(p > 0, p * (p / q).log(), 0.0).sum()
