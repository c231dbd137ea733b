"""Estimators of the mutual information of two variables: InfoNCE, NWJ, SMILE and MINE.

Each trains a critic of pairs on a bound. All pairs of a batch are scored: the n pairs of one example are samples of
p(v1, v2), and the n (n - 1) pairs of two examples are samples of p(v1) p(v2).
"""

from collections.abc import Mapping
from math import log

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus

from frame_core import Model, check_positive
from frame_models.two_views.base import get_views

__all__ = ["MINE", "NWJ", "SMILE", "InfoNCE"]


class InfoNCE(Model):
    """Contrastive lower bound on mutual information, at most the logarithm of the batch size.

    The estimate is E[log exp c(v1, v2) / mean_j exp c(v1, v2_j)], where j runs over all examples of a batch. The best
    critic is log p(v2 | v1) plus any function of v1.

    Args:
        critic: From v1 (n, 1, \\*v1_shape) and v2 (1, n, \\*v2_shape) to the scores of all pairs, of shape (n, n).

    References:
        Representation Learning with Contrastive Predictive Coding (van den Oord et al., 2018),
        https://arxiv.org/abs/1807.03748
    """

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic = critic

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute minus the bound for a batch of pairs ``data["v1"]`` and ``data["v2"]``.

        Returns:
            ``loss``, and the estimate ``mutual_information``, in nats.

        Raises:
            ValueError: The batch lacks a variable or has fewer than two examples, or the scores have a wrong shape.
        """
        bound = compute_contrastive_bound(score_all_pairs(self.critic, data))
        return {"loss": -bound, "mutual_information": bound.detach()}


class NWJ(Model):
    """Lower bound on mutual information of Nguyen, Wainwright and Jordan, of high variance.

    The estimate is E[c(v1, v2)] - E[exp c(v1, v2')] + 1, where v2' is of another example. The best critic is
    log p(v1, v2) - log p(v1) p(v2).

    Args:
        critic: From v1 (n, 1, \\*v1_shape) and v2 (1, n, \\*v2_shape) to the scores of all pairs, of shape (n, n).

    References:
        Estimating Divergence Functionals and the Likelihood Ratio by Convex Risk Minimization (Nguyen et al., 2010),
        https://arxiv.org/abs/0809.0853, for the critic c + 1
    """

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic = critic

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute minus the bound for a batch of pairs ``data["v1"]`` and ``data["v2"]``.

        Returns:
            ``loss``, and the estimate ``mutual_information``, in nats.

        Raises:
            ValueError: The batch lacks a variable or has fewer than two examples, or the scores have a wrong shape.
        """
        bound = compute_nwj_bound(*split_pairs(score_all_pairs(self.critic, data)))
        return {"loss": -bound, "mutual_information": bound.detach()}


class SMILE(Model):
    """Estimate of mutual information whose density ratios are clipped, with a critic trained on I_JS.

    The estimate is E[c(v1, v2)] - log E[clip(exp c(v1, v2'), exp(-clip), exp(clip))], where v2' is of another example.
    The loss is -I_JS, of `compute_jensen_shannon_bound`. Its best critic is log p(v1, v2) - log p(v1) p(v2).

    Args:
        critic: From v1 (n, 1, \\*v1_shape) and v2 (1, n, \\*v2_shape) to the scores of all pairs, of shape (n, n).
        clip: Largest absolute value of a log density ratio in the second term. A smaller one reduces the variance,
            and increases the bias.

    Raises:
        TypeError: ``clip`` is not a number.
        ValueError: ``clip`` is not positive and finite.

    References:
        Understanding the Limitations of Variational Mutual Information Estimators (Song & Ermon, 2020),
        https://arxiv.org/abs/1910.06222
    """

    def __init__(self, critic: nn.Module, clip: float = 5.0) -> None:
        super().__init__()
        self.critic = critic
        self.clip = check_positive("clip", clip)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute -I_JS for a batch of pairs ``data["v1"]`` and ``data["v2"]``.

        Returns:
            ``loss``, and the estimate ``mutual_information``, in nats.

        Raises:
            ValueError: The batch lacks a variable or has fewer than two examples, or the scores have a wrong shape.
        """
        scores, scores_of_others = split_pairs(score_all_pairs(self.critic, data))
        estimate = compute_clipped_estimate(scores.detach(), scores_of_others.detach(), self.clip)
        return {"loss": -compute_jensen_shannon_bound(scores, scores_of_others), "mutual_information": estimate}


class MINE(Model):
    """Bound of Donsker and Varadhan on mutual information, with the gradient of a moving average.

    The estimate is E[c(v1, v2)] - log E[exp c(v1, v2')], where v2' is of another example. The gradient of its second
    term divides by the expectation, which is a moving average over batches, as the mean of one batch is biased. The
    best critic is log p(v1, v2) - log p(v1) p(v2) plus any constant.

    Args:
        critic: From v1 (n, 1, \\*v1_shape) and v2 (1, n, \\*v2_shape) to the scores of all pairs, of shape (n, n).
        decay: Decay of the moving average per batch.

    Raises:
        ValueError: ``decay`` is not between 0 and 1.

    References:
        MINE: Mutual Information Neural Estimation (Belghazi et al., 2018), https://arxiv.org/abs/1801.04062
    """

    log_sum: Tensor
    weight: Tensor

    def __init__(self, critic: nn.Module, decay: float = 0.99) -> None:
        super().__init__()
        if not 0 < decay < 1:
            raise ValueError(f"`decay` must be between 0 and 1, got {decay!r}.")
        self.critic = critic
        self.decay = decay
        self.register_buffer("log_sum", torch.tensor(-torch.inf))  # of the weighted means of all batches
        self.register_buffer("weight", torch.tensor(0.0))  # the sum of the weights

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute a loss with the gradient above for a batch of pairs ``data["v1"]`` and ``data["v2"]``.

        In train mode, the batch joins the moving average.

        Returns:
            ``loss``, and the estimate ``mutual_information``, in nats.

        Raises:
            ValueError: The batch lacks a variable or has fewer than two examples, or the scores have a wrong shape.
        """
        scores, scores_of_others = split_pairs(score_all_pairs(self.critic, data))
        log_mean = _compute_log_mean_exp(scores_of_others)
        estimate = (scores.mean() - log_mean).detach()
        log_average = self._update(log_mean.detach()) if self.training else log_mean.detach()
        # the gradient of the ratio is that of E[exp c], divided by the average
        return {"loss": (log_mean - log_average).exp() - scores.mean(), "mutual_information": estimate}

    def _update(self, log_mean: Tensor) -> Tensor:
        """Add the mean of a batch to the moving average, and return the logarithm of the average."""
        self.log_sum.copy_(torch.logaddexp(self.log_sum + log(self.decay), log_mean + log(1 - self.decay)))
        self.weight.mul_(self.decay).add_(1 - self.decay)
        return self.log_sum - self.weight.log()


def score_all_pairs(critic: nn.Module, data: Mapping[str, Tensor]) -> Tensor:
    """Score the pairs of each ``v1`` of a batch with each ``v2``.

    Args:
        critic: From v1 (n, 1, \\*v1_shape) and v2 (1, n, \\*v2_shape) to scores of shape (n, n).
        data: A batch of n pairs ``v1`` and ``v2``.

    Returns:
        Tensor of shape (n, n). The pairs of one example are on the diagonal.

    Raises:
        ValueError: The batch lacks a variable or has fewer than two examples, or the scores have a wrong shape.
    """
    v_1, v_2 = get_views(data)
    scores = critic(v_1.unsqueeze(1), v_2.unsqueeze(0))
    if scores.shape != (len(v_1), len(v_1)):
        raise ValueError(
            f"`critic` must return the scores of all pairs, of shape {(len(v_1), len(v_1))}, got {tuple(scores.shape)}."
        )
    return scores


def split_pairs(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Split the scores of all pairs into those of one example (n,) and those of two examples (n * (n - 1),)."""
    n = len(scores)
    return scores.diagonal(), scores.flatten()[1:].view(n - 1, n + 1)[:, :-1].flatten()


def compute_contrastive_bound(scores: Tensor) -> Tensor:
    """Compute the mean of log exp c_ii / mean_j exp c_ij, in nats, at most log n.

    Args:
        scores: Scores of all pairs, of shape (n, n).

    Returns:
        Scalar tensor.
    """
    return log(len(scores)) - cross_entropy(scores, torch.arange(len(scores), device=scores.device))


def compute_nwj_bound(scores: Tensor, scores_of_others: Tensor) -> Tensor:
    """Compute E[c(v1, v2)] - E[exp c(v1, v2')] + 1, a lower bound on mutual information, in nats.

    It is tight for c = log p(v1, v2) - log p(v1) p(v2).

    Args:
        scores: Scores of samples of p(v1, v2), of shape (n,).
        scores_of_others: Scores of samples of p(v1) p(v2), of shape (m,).

    Returns:
        Scalar tensor.
    """
    return scores.mean() - scores_of_others.exp().mean() + 1


def compute_clipped_estimate(scores: Tensor, scores_of_others: Tensor, clip: float) -> Tensor:
    """Compute E[c(v1, v2)] - log E[clip(exp c(v1, v2'), exp(-clip), exp(clip))], in nats.

    This is the estimate of SMILE. For the best critic and without clipping, it is the mutual information.

    Args:
        scores: Scores of samples of p(v1, v2), of shape (n,).
        scores_of_others: Scores of samples of p(v1) p(v2), of shape (m,).
        clip: Largest absolute value of a score in the second term.

    Returns:
        Scalar tensor.
    """
    return scores.mean() - _compute_log_mean_exp(scores_of_others.clamp(-clip, clip))


def compute_jensen_shannon_bound(scores: Tensor, scores_of_others: Tensor) -> Tensor:
    """Compute I_JS = E[-softplus(-c(v1, v2))] - E[softplus(c(v1, v2'))], in nats.

    It is at most 2 JSD - 2 log 2, where JSD is the Jensen-Shannon divergence between p(v1, v2) and p(v1) p(v2).
    It reaches that value at c = log p(v1, v2) - log p(v1) p(v2).

    Args:
        scores: Scores of samples of p(v1, v2), of shape (n,).
        scores_of_others: Scores of samples of p(v1) p(v2), of shape (m,).

    Returns:
        Scalar tensor.

    References:
        Learning deep representations by mutual information estimation and maximization (Hjelm et al., 2019),
        https://arxiv.org/abs/1808.06670
    """
    return -softplus(-scores).mean() - softplus(scores_of_others).mean()


def _compute_log_mean_exp(scores: Tensor) -> Tensor:
    return scores.logsumexp(0) - log(len(scores))
