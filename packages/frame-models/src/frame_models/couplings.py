"""Couplings of the source and the data of flow matching."""

import torch
from torch import Tensor

__all__ = ["OptimalTransport"]


class OptimalTransport:
    """Exact optimal transport between two batches, for the cost |x_0 - x_1|^2. It requires scipy.

    Its time grows with the third power of the size of the batch, and it waits for the GPU.

    Raises:
        ModuleNotFoundError: scipy is not installed.

    References:
        Improving and generalizing flow-based generative models with minibatch optimal transport (Tong et al., 2024),
        https://arxiv.org/abs/2302.00482
    """

    def __init__(self) -> None:
        try:
            from scipy.optimize import linear_sum_assignment
        except ModuleNotFoundError as error:
            if error.name != "scipy":
                raise
            message = "`OptimalTransport` needs scipy: `pip install frame-models[scipy]`."
            raise ModuleNotFoundError(message, name=error.name) from None
        self._assign = linear_sum_assignment

    @torch.no_grad()
    def __call__(self, x_0: Tensor, x_1: Tensor) -> Tensor:
        """Return the permutation of the first batch for which the sum of the costs of all pairs is smallest.

        Args:
            x_0: Tensor of shape (batch, \\*x_shape).
            x_1: Tensor of the same shape.

        Returns:
            Indices of shape (batch,), such that ``x_0[indices]`` is paired with ``x_1``.
        """
        costs = torch.cdist(x_1.flatten(1).double(), x_0.flatten(1).double()).square()
        _, indices = self._assign(costs.cpu().numpy())
        return torch.from_numpy(indices).to(x_0.device)
