"""Flow matching."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from frame_core import GenerativeModel, check_shapes, get_tensor
from frame_models.flows.fields import check_field, expand_times
from frame_models.solvers import Heun, Velocity

Coupling = Callable[[Tensor, Tensor], Tensor]
"""Permutation of a batch of the source, as indices of shape (batch,), that pairs it with a batch of the data."""

Solver = Callable[[Velocity, Tensor], Tensor]
"""Function from the velocity and x at time 0 to x at time 1."""


class FlowMatching(GenerativeModel):
    """Flow that moves samples of a source to the data along straight lines on average: dx/dt = v(x, t).

    The vector field v is fitted to the velocities of straight lines between x_0 of the source and x_1 of the data. The
    loss is E|v(x_t, t) - (x_1 - x_0)|^2 with x_t = (1 - t) x_0 + t x_1 and t uniform in [0, 1]. At the minimum,
    v(x, t) is the mean velocity of the lines that pass x at the time t, and the flow leads from the source to the data.
    With a coupling by optimal transport, lines cross less, so the flow is straighter and needs fewer steps.

    Args:
        vector_field: From x (\\*batch, \\*x_shape) and t (\\*batch,) to a tensor of velocities of the shape of x.
        source: Marginal p(x_0), an event of shape (\\*x_shape,). It is not trained.
        coupling: Function that pairs a batch of the source with a batch of the data, such as
            `frame_models.couplings.OptimalTransport`; None for independent pairs.
        solver: Solver of the differential equation, for samples; None for `frame_models.solvers.Heun` with 50 steps.

    References:
        Flow Matching for Generative Modeling (Lipman et al., 2023), https://arxiv.org/abs/2210.02747

        Improving and generalizing flow-based generative models with minibatch optimal transport (Tong et al., 2024),
        https://arxiv.org/abs/2302.00482, with sigma = 0
    """

    def __init__(
        self, vector_field: nn.Module, source: nn.Module, coupling: Coupling | None = None, solver: Solver | None = None
    ) -> None:
        super().__init__()
        self.vector_field = vector_field
        self.source = source
        self.coupling = coupling
        self.solver = solver or Heun(n_steps=50)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of a batch with ``data["x"]``, at one time for each example.

        Raises:
            ValueError: The batch has no ``x``, or the shape of an output does not match the data.
        """
        return {
            "loss": compute_flow_matching_loss(get_tensor(data, "x"), self.source, self.vector_field, self.coupling)
        }

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        """Move samples of the source along the flow. There is no output distribution to sample."""
        x = self.source().sample(sample_shape)
        return self.solver(lambda t, x: self.vector_field(x, t.expand(sample_shape)), x)


def compute_flow_matching_loss(
    x_1: Tensor,
    source: nn.Module,
    vector_field: Callable[[Tensor, Tensor], Tensor],
    coupling: Coupling | None = None,
) -> Tensor:
    """Compute the mean over a batch of |v(x_t, t) - (x_1 - x_0)|^2, at a random time t for each example.

    Args:
        x_1: Data of shape (batch, \\*x_shape).
        source: Marginal p(x_0), an event of shape (\\*x_shape,).
        vector_field: From x (batch, \\*x_shape) and t (batch,) to velocities of the shape of x.
        coupling: Function that pairs x_0 with x_1; None for independent pairs.

    Raises:
        ValueError: The shape of an output does not match the data.
    """
    p_0 = source()
    check_shapes("source", p_0, torch.Size([]), x_1.shape[1:])
    x_0 = p_0.sample(x_1.shape[:1])
    if coupling is not None:
        x_0 = x_0[coupling(x_0, x_1)]
    t = torch.rand(len(x_1), dtype=x_1.dtype, device=x_1.device)
    x_t = torch.lerp(x_0, x_1, expand_times(t, x_1))
    velocity = check_field("vector_field", vector_field(x_t, t), x_1)
    return (velocity - (x_1 - x_0)).square().flatten(1).sum(1).mean()
