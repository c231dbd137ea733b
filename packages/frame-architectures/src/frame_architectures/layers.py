"""Deterministic layers."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from frame_core import check_count, check_sizes


def make_stack(sizes: Sequence[int], activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    """Make a stack of linear layers, each followed by an activation.

    Args:
        sizes: Number of features before the first layer and after each layer. With a single size, the stack is empty.
        activation: Class or factory of the module after each linear layer.

    Returns:
        A module from (\\*batch, sizes[0]) to (\\*batch, sizes[-1]).

    Raises:
        TypeError: ``sizes`` is not a sequence of integers.
        ValueError: ``sizes`` is empty, or a size is not positive.

    >>> make_stack([784, 1024, 128])
    Sequential(
      (0): Linear(in_features=784, out_features=1024, bias=True)
      (1): ReLU()
      (2): Linear(in_features=1024, out_features=128, bias=True)
      (3): ReLU()
    )
    """
    checked_sizes = check_sizes("sizes", sizes)
    if not checked_sizes:
        raise ValueError("`sizes` must have at least one entry, got none.")
    pairs = pairwise(checked_sizes)
    return nn.Sequential(*(layer for pair in pairs for layer in (nn.Linear(*pair), activation())))


class Flatten(nn.Module):
    """Flattens each example to a vector, from (\\*batch, \\*event_shape) to (\\*batch, n_features).

    Args:
        event_shape: Shape of one example.

    Raises:
        TypeError: ``event_shape`` is not a sequence of integers.
        ValueError: A size in it is not positive.

    >>> Flatten((1, 28, 28))(torch.zeros(5, 3, 1, 28, 28)).shape
    torch.Size([5, 3, 784])
    """

    def __init__(self, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.event_shape = torch.Size(check_sizes("event_shape", event_shape))

    def forward(self, x: Tensor) -> Tensor:
        """Flatten the trailing dimensions.

        Raises:
            ValueError: The shape of ``x`` does not end in ``event_shape``.
        """
        n_batch_dims = x.ndim - len(self.event_shape)
        if x.shape[n_batch_dims:] != self.event_shape:
            raise ValueError(
                f"The shape of `x` must end in the `event_shape` {tuple(self.event_shape)}, got {tuple(x.shape)}."
            )
        return x.reshape(*x.shape[:n_batch_dims], self.event_shape.numel())

    def extra_repr(self) -> str:
        return f"event_shape={tuple(self.event_shape)}"


class AnyBatch(nn.Module):
    """Applies a module that requires one batch dimension, such as a convolution, to any number of them.

    Args:
        module: From (batch, \\*in_shape) to (batch, \\*out_shape).
        n_event_dims: Number of dimensions of ``in_shape``.

    Raises:
        TypeError: ``n_event_dims`` is not an integer.
        ValueError: ``n_event_dims`` is not positive.

    >>> AnyBatch(nn.Conv2d(1, 6, kernel_size=3), n_event_dims=3)(torch.zeros(5, 4, 1, 28, 28)).shape
    torch.Size([5, 4, 6, 26, 26])
    """

    def __init__(self, module: nn.Module, n_event_dims: int) -> None:
        super().__init__()
        self.module = module
        self.n_event_dims = check_count("n_event_dims", n_event_dims)

    def forward(self, x: Tensor) -> Tensor:
        n_batch_dims = x.ndim - self.n_event_dims
        batch_shape = x.shape[:n_batch_dims]
        y = self.module(x.reshape(batch_shape.numel(), *x.shape[n_batch_dims:]))
        return y.reshape(*batch_shape, *y.shape[1:])

    def extra_repr(self) -> str:
        return f"n_event_dims={self.n_event_dims}"


class Rescale(nn.Module):
    """Maps values in [0, 1] linearly to another interval, for networks that expect it.

    Args:
        low: The value that 0 is mapped to.
        high: The value that 1 is mapped to.

    Raises:
        ValueError: ``high`` is not greater than ``low``.

    >>> Rescale(-1.0, 1.0)(torch.tensor([0.0, 0.5, 1.0]))
    tensor([-1.,  0.,  1.])
    """

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        if not high > low:  # rejects NaN, too
            raise ValueError(f"`high` must be greater than `low`, got {high!r} and {low!r}.")
        self.low = low
        self.high = high

    def forward(self, x: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * x

    def extra_repr(self) -> str:
        return f"low={self.low}, high={self.high}"
