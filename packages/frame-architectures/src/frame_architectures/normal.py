"""Normal distribution in terms of standardized values."""

from math import log, pi

import torch
from torch import Tensor


class Normal(torch.distributions.Normal):
    """Normal distribution whose log density takes fewer operations than torch's, which matters for small networks.

    Values are not checked.

    >>> Normal(torch.tensor(1.0), torch.tensor(2.0)).log_prob(torch.tensor(1.0))  # -log(2) - log(2 pi) / 2
    tensor(-1.6121)
    """

    def log_prob(self, value: Tensor) -> Tensor:
        standardized = (value - self.loc) / self.scale
        return -0.5 * standardized.square() - self.scale.log() - 0.5 * log(2 * pi)
