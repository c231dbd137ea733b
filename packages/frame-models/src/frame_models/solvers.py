"""Solvers of ordinary differential equations, for the samples of flow matching."""

from collections.abc import Callable

import torch
from torch import Tensor

from frame_core import check_count, check_positive

__all__ = ["DormandPrince", "Euler", "Heun"]

Velocity = Callable[[Tensor, Tensor], Tensor]
"""Velocity dx/dt as a function of the time, a scalar tensor, and of x, a tensor of the same shape as the result."""


class Euler:
    """Euler's method: x moves along its velocity at the start of each step.

    Args:
        n_steps: Number of steps from time 0 to time 1, each with one evaluation of the velocity.

    Raises:
        TypeError: ``n_steps`` is not an integer.
        ValueError: ``n_steps`` is not positive.
    """

    def __init__(self, n_steps: int) -> None:
        self.n_steps = check_count("n_steps", n_steps)

    def __call__(self, velocity: Velocity, x: Tensor) -> Tensor:
        """Return x at time 1, given x at time 0."""
        size = 1 / self.n_steps
        for step in range(self.n_steps):
            x = x + size * velocity(x.new_full((), step * size), x)
        return x


class Heun:
    """Heun's method: x moves along the mean of its velocities at the start and at the end of each step.

    Args:
        n_steps: Number of steps from time 0 to time 1, each with two evaluations of the velocity.

    Raises:
        TypeError: ``n_steps`` is not an integer.
        ValueError: ``n_steps`` is not positive.
    """

    def __init__(self, n_steps: int) -> None:
        self.n_steps = check_count("n_steps", n_steps)

    def __call__(self, velocity: Velocity, x: Tensor) -> Tensor:
        """Return x at time 1, given x at time 0."""
        size = 1 / self.n_steps
        for step in range(self.n_steps):
            first = velocity(x.new_full((), step * size), x)
            second = velocity(x.new_full((), (step + 1) * size), x + size * first)
            x = x + size * (first + second) / 2
        return x


class DormandPrince:
    """The method of Dormand and Prince, which chooses its steps. It requires torchdiffeq.

    Args:
        tolerance: Relative and absolute error of a step.

    Raises:
        ModuleNotFoundError: torchdiffeq is not installed.
        TypeError: ``tolerance`` is not a number.
        ValueError: ``tolerance`` is not positive and finite.
    """

    def __init__(self, tolerance: float = 1e-5) -> None:
        try:
            from torchdiffeq import odeint
        except ModuleNotFoundError as error:
            if error.name != "torchdiffeq":
                raise
            message = "`DormandPrince` needs torchdiffeq: `pip install frame-models[torchdiffeq]`."
            raise ModuleNotFoundError(message, name=error.name) from None
        self.tolerance = check_positive("tolerance", tolerance)
        self._integrate: Callable[..., Tensor] = odeint  # pyright: ignore[reportAttributeAccessIssue]  # of a tensor

    def __call__(self, velocity: Velocity, x: Tensor) -> Tensor:
        """Return x at time 1, given x at time 0."""
        times = torch.tensor([0.0, 1.0], dtype=x.dtype, device=x.device)
        return self._integrate(velocity, x, times, rtol=self.tolerance, atol=self.tolerance, method="dopri5")[-1]
