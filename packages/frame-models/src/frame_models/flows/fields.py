"""Values of a network at examples and times."""

from torch import Tensor


def expand_times(t: Tensor, x: Tensor) -> Tensor:
    """Return times (batch,) in the shape (batch, 1, …, 1) that broadcasts with examples (batch, \\*x_shape)."""
    return t.view(-1, *[1] * (x.ndim - 1))


def check_field(part: str, values: Tensor, x: Tensor) -> Tensor:
    """Return the values of a network if they have the shape of the examples.

    Args:
        part: Name of the part of the model that returned them, for the error message.
        values: The values.
        x: Examples of shape (batch, \\*x_shape).

    Raises:
        ValueError: The shapes differ.
    """
    if values.shape != x.shape:
        raise ValueError(
            f"`{part}` must return a tensor of the shape of the data, {tuple(x.shape)}, got {tuple(values.shape)}."
        )
    return values
