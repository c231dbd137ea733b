"""A method with its representative experiment and its loop written by hand."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

Batch = Mapping[str, Tensor]

Loss = Callable[[Batch, float], Tensor]
"""Function from a batch and the number of complete epochs, with its fraction, to a loss."""

Updates = Sequence[tuple[Optimizer, LRScheduler | None]]
"""The optimizer of each loss, and the schedule of its learning rate."""


@dataclass(frozen=True)
class Method:
    """A method, and what its loop needs.

    Args:
        arguments: The experiment and its overrides, as on the command line of `train`.
        make_losses: Function from the model and the settings to the losses. The model provides its networks only. Two
            losses are those of the discriminator and of the generator.
        make_updates: Function from the model and the settings to the optimizers.
        reads: Names of the tensors of a batch that the losses need.
        transform: Random change of a batch of the data in memory, such as two views; None for none.
        n_draws: Number of random draws over which losses are averaged before they are compared. 1 means that the loop
            and the model draw the same random numbers.
    """

    arguments: Sequence[str]
    make_losses: Callable[[Any, SimpleNamespace], Sequence[Loss]]
    make_updates: Callable[[Any, SimpleNamespace], Updates]
    reads: Sequence[str] = ("x",)
    transform: Callable[[Batch], Batch] | None = None
    n_draws: int = 1
