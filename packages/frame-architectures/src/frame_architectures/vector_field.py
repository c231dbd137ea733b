"""Vector field of a flow."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from frame_architectures.layers import Flatten, make_stack
from frame_core import check_count, check_sizes


class VectorField(nn.Module):
    """Fully connected network from x (\\*batch, \\*x_shape) and the time (\\*batch,) to velocities of the shape of x.

    Args:
        x_shape: Shape of one example.
        layers: Number of units in each hidden layer, such as [128, 128, 128].
        n_labels: Number of labels, which are a third input of shape (\\*batch,). The label ``n_labels`` stands for no
            label. None for a network without labels.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is not positive.

    >>> VectorField((2,), [16])(torch.zeros(5, 2), torch.rand(5)).shape
    torch.Size([5, 2])
    """

    def __init__(self, x_shape: Sequence[int], layers: Sequence[int], n_labels: int | None = None) -> None:
        super().__init__()
        self.n_labels = 0 if n_labels is None else check_count("n_labels", n_labels)
        self.flatten = Flatten(x_shape)
        n_inputs = self.flatten.event_shape.numel()
        sizes = [n_inputs + 1 + self.n_labels, *check_sizes("layers", layers)]
        self.network = nn.Sequential(make_stack(sizes, nn.SiLU), nn.Linear(sizes[-1], n_inputs))

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        inputs = [self.flatten(x), t.unsqueeze(-1)]
        if y is not None:
            inputs.append(one_hot(y, self.n_labels + 1)[..., :-1].to(x.dtype))  # zeros if there is no label
        return self.network(torch.cat(inputs, dim=-1)).view(x.shape)
