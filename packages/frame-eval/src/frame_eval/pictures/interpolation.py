"""Interpolations between two images."""

from collections.abc import Mapping

import torch
from torch import Tensor

from frame_core import (
    Evaluation,
    LatentVariableModel,
    LogEntry,
    Optimization,
    check_count,
    encode_batch,
    get_batch,
    get_mean,
    get_split,
)
from frame_eval.device import move_batch_to_model
from frame_eval.pictures.images import make_grid_entry, spread_indices


class InterpolationEvaluation(Evaluation):
    """Rows of images decoded on the straight line between the representations of two examples.

    At both ends of a row are the original image and, next to it, its reconstruction. Representations are the
    means of q(z | x), decoded images the means of p(x | z). The examples are spread evenly over the split, the
    same every time.

    Args:
        evaluate_on: Name of the split.
        n_rows: Number of rows, or the number of pairs of examples in the split if that is smaller.
        n_steps: Number of decoded images in a row, including the two reconstructions.

    Raises:
        TypeError: ``n_rows`` or ``n_steps`` is not an integer.
        ValueError: ``n_rows`` is not positive, or ``n_steps`` is less than two.
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
            ValueError: The split is missing or has fewer than two examples, or its examples are not images with
                1 or 3 channels.
        """
        model = optimization.model
        assert isinstance(model, LatentVariableModel)  # `requires`
        batch = move_batch_to_model(self._choose_examples(optimization), model)
        z = get_mean(encode_batch(model, batch), "encode")
        line = _interpolate(*z.chunk(2), n_steps=self.n_steps)
        images = get_mean(model.decode(line.flatten(0, 1)), "decode").unflatten(0, line.shape[:2])
        x_start, x_end = batch["x"].unsqueeze(1).chunk(2)
        rows = torch.cat([x_start, images, x_end], dim=1)
        return make_grid_entry(rows.flatten(0, 1), n_columns=rows.shape[1])

    def _choose_examples(self, optimization: Optimization) -> Mapping[str, Tensor]:
        """Return the examples at the starts of all rows, followed by those at their ends."""
        data_set = get_split(optimization.data, self.evaluate_on)
        if len(data_set) < 2:
            raise ValueError(f"Split {self.evaluate_on!r} of `data` needs at least 2 examples to interpolate, got 1.")
        n_rows = min(self.n_rows, len(data_set) // 2)
        return get_batch(data_set, spread_indices(len(data_set), 2 * n_rows))


def _interpolate(start: Tensor, end: Tensor, n_steps: int) -> Tensor:
    """Return equidistant points from start to end, both included, of shape (n_rows, n_steps, \\*z_shape)."""
    weights = torch.linspace(0, 1, n_steps, dtype=start.dtype, device=start.device)
    return torch.lerp(start.unsqueeze(1), end.unsqueeze(1), weights.view(1, -1, *[1] * (start.ndim - 1)))
