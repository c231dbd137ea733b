"""Categorical distributions that are not checked."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, OneHotCategorical


class Categorical(torch.distributions.Categorical):
    """Categorical distribution that takes fewer operations than torch's, which matters for small networks.

    Logits and values are not checked.

    Args:
        logits: Tensor of shape (\\*batch, n_categories).

    >>> Categorical(torch.zeros(4)).log_prob(torch.tensor(3))  # -log(4)
    tensor(-1.3863)
    """

    def __init__(self, logits: Tensor) -> None:
        self._param = logits.log_softmax(-1)
        self.logits = self._param  # pyright: ignore[reportAttributeAccessIssue]  # torch computes it at the first use
        self._num_events = logits.shape[-1]
        Distribution.__init__(self, logits.shape[:-1], validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        return super().expand(torch.Size(batch_shape), _instance or self.__new__(type(self)))

    def log_prob(self, value: Tensor) -> Tensor:
        if value.shape != self.batch_shape:
            return super().log_prob(value)
        return self.logits.gather(-1, value.long().unsqueeze(-1)).squeeze(-1)


class UncheckedOneHotCategorical(OneHotCategorical):
    """`OneHotCategorical` that does not check its logits. Torch checks them always, and waits for the GPU.

    Args:
        logits: Tensor of shape (\\*batch, n_categories).
    """

    def __init__(self, logits: Tensor) -> None:
        self._categorical = Categorical(logits)
        Distribution.__init__(self, logits.shape[:-1], logits.shape[-1:], validate_args=False)
