"""Score of a disentangled representation by the dimension that varies least."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from frame_core import SCALAR_ENTRY, LogEntry, Optimization, check_count
from frame_eval.representations.factors import FactorEvaluation, encode_with_factors

_MIN_VARIANCE = 0.05  # of an active dimension, as in disentanglement_lib


class FactorVAEScoreEvaluation(FactorEvaluation):
    """Accuracy with which the latent dimension that varies least tells which factor is fixed.

    A vote draws a group of examples that share the value of one factor. The standardized mean of q(z | x) is
    computed for each. The dimension of the smallest variance in the group votes for the factor. A majority-vote
    classifier from the dimension to the factor is fitted to half of the votes and tested on the other half. Its
    accuracy is 1 if each factor has dimensions of its own. At chance it is one over the number of factors.

    Dimensions whose mean has a variance below 0.05 over the split are left out: a collapsed dimension would have the
    smallest variance in many groups. Each example of the split needs ``factors``, a vector of integers.

    Args:
        evaluate_on: Name of the split, of which all examples are used.
        n_votes: Number of votes for each factor.
        group_size: Number of examples in a group.

    Raises:
        TypeError: ``n_votes`` or ``group_size`` is not an integer.
        ValueError: One of them is less than 2.

    References:
        Disentangling by Factorising (Kim & Mnih, 2018), https://arxiv.org/abs/1802.05983. The threshold is that of
        Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations
        (Locatello et al., 2019), https://arxiv.org/abs/1811.12359
    """

    def __init__(self, evaluate_on: str, n_votes: int = 1000, group_size: int = 64) -> None:
        super().__init__(evaluate_on)
        self.n_votes = check_count("n_votes", n_votes, minimum=2)
        self.group_size = check_count("group_size", group_size, minimum=2)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Compute the accuracy. Without an active dimension it is 0.

        Raises:
            TypeError: The representation has no mean.
            ValueError: A factor has one value, or another one for each example, or a representation is not finite.
        """
        z, factors = encode_with_factors(optimization, self.evaluate_on)
        variance = z.var(0)
        z = (z / variance.sqrt())[:, variance >= _MIN_VARIANCE]
        if z.shape[1] == 0:
            return LogEntry(data_type=SCALAR_ENTRY, value=0.0)
        votes = torch.stack([self._vote(z, factor) for factor in factors.unbind(1)])
        train, test = votes.chunk(2, dim=1)
        classifier = one_hot(train, z.shape[1]).sum(1).argmax(0)  # the most frequent factor of each dimension
        is_correct = classifier[test] == torch.arange(len(votes), device=votes.device).unsqueeze(1)
        return LogEntry(data_type=SCALAR_ENTRY, value=is_correct.float().mean())

    def _vote(self, z: Tensor, factor: Tensor) -> Tensor:
        """Return the dimension of the smallest variance in each group that shares a value of a factor."""
        groups = _draw_groups(factor, self.n_votes, self.group_size)
        return torch.cat([z[rows].var(1).argmin(1) for rows in groups.split(1000)])


def _draw_groups(values: Tensor, n_groups: int, group_size: int) -> Tensor:
    """Draw groups of examples that have one value of a factor, the value of a random example.

    Returns:
        Indices of examples, with repetition, of shape (n_groups, group_size).
    """
    order = values.argsort()
    counts = values.bincount()
    starts = counts.cumsum(0) - counts
    value = values[torch.randint(len(values), (n_groups, 1), device=values.device)]
    positions = (torch.rand(n_groups, group_size, device=values.device) * counts[value]).long()
    return order[starts[value] + positions.clamp(max=counts[value] - 1)]  # rounding may reach the count
