"""Pictures between two pictures."""

import torch
from torch import Tensor

from frame_core import (
    Evaluation,
    LatentVariableModel,
    LogEntry,
    Optimization,
    check_count,
    get_batch,
    get_mean,
    get_split,
)
from frame_eval.device import move_to_model
from frame_eval.pictures import make_grid_entry, spread_indices


class InterpolationEvaluation(Evaluation):
    """Rows of pictures decoded on the straight line between the representations of two data.

    At both ends of a row is the picture itself, beside it its reconstruction. The representations are the
    means of q(z | x), the pictures the means of p(x | z), and the data are the same every time, spread
    evenly over the split.

    Args:
        evaluate_on: Name of the split.
        n_rows: Number of rows; as many as there are pairs of data where the split has fewer.
        n_steps: Number of decoded pictures in a row, the two reconstructions among them.

    Raises:
        TypeError: A number is no integer.
        ValueError: ``n_rows`` is not positive, or ``n_steps`` less than two.
    """

    requires = LatentVariableModel

    def __init__(self, evaluate_on: str, n_rows: int = 8, n_steps: int = 10) -> None:
        self.evaluate_on = evaluate_on
        self.n_rows = check_count("n_rows", n_rows)
        self.n_steps = check_count("n_steps", n_steps, minimum=2)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Draw the rows.

        Raises:
            TypeError: The distribution of the representation or of the data has no mean.
            ValueError: The data have no such split, less than two data in it, or no pictures of 1 or 3
                channels.
        """
        model = optimization.model
        assert isinstance(model, LatentVariableModel)  # `requires`
        x = move_to_model(self._choose_data(optimization), model)
        z = get_mean(model.encode(x), "encode")
        line = _interpolate(*z.chunk(2), n_steps=self.n_steps)
        pictures = get_mean(model.decode(line.flatten(0, 1)), "decode").unflatten(0, line.shape[:2])
        x_start, x_end = x.unsqueeze(1).chunk(2)
        rows = torch.cat([x_start, pictures, x_end], dim=1)
        return make_grid_entry(rows.flatten(0, 1), n_columns=rows.shape[1])

    def _choose_data(self, optimization: Optimization) -> Tensor:
        """Give the pictures at the starts of all rows, and then those at their ends."""
        data_set = get_split(optimization.data, self.evaluate_on)
        if len(data_set) < 2:
            raise ValueError(f"Split {self.evaluate_on!r} of `data` has one datum; two are needed to go between.")
        n_rows = min(self.n_rows, len(data_set) // 2)
        return get_batch(data_set, spread_indices(len(data_set), 2 * n_rows))["x"]


def _interpolate(start: Tensor, end: Tensor, n_steps: int) -> Tensor:
    """Give points at equal distances from one to the other, both among them, of shape (n_rows, n_steps, \\*z_shape)."""
    weights = torch.linspace(0, 1, n_steps, dtype=start.dtype, device=start.device)
    return torch.lerp(start.unsqueeze(1), end.unsqueeze(1), weights.view(1, -1, *[1] * (start.ndim - 1)))
