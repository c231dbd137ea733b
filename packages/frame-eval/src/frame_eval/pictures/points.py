"""Plot of points sampled from a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from frame_core import PLOT_ENTRY, Evaluation, GenerativeModel, LogEntry, Optimization, check_count
from frame_eval.batches import BATCH_SIZE, iterate_split
from frame_eval.conditions import check_generation, sample_like

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class PointSampleEvaluation(Evaluation):
    """Plot of generated points in the plane, beside as many of a split.

    A conditional model is given the conditions of the points of the split.

    Args:
        evaluate_on: Name of the split.
        n_points: Number of points.

    Raises:
        TypeError: ``n_points`` is not an integer.
        ValueError: ``n_points`` is not positive.
    """

    requires = GenerativeModel

    def __init__(self, evaluate_on: str, n_points: int = 2000) -> None:
        self.evaluate_on = evaluate_on
        self.n_points = check_count("n_points", n_points)

    def check(self, optimization: Optimization) -> None:
        check_generation(optimization, self.evaluate_on)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Draw the plot.

        Raises:
            ValueError: The examples are not points in the plane.
        """
        model = optimization.model
        assert isinstance(model, GenerativeModel)  # `requires`
        batches = iterate_split(optimization, self.evaluate_on, BATCH_SIZE, self.n_points)
        pairs = [(batch["x"], sample_like(model, batch)) for batch in batches]
        real, fake = (torch.cat(points).cpu() for points in zip(*pairs))
        if real.shape[1:] != (2,):
            raise ValueError(f"A point in the plane must have shape (2,), got {tuple(real.shape[1:])}.")
        return LogEntry(data_type=PLOT_ENTRY, value=_draw(real, fake))


def _draw(real: Tensor, fake: Tensor) -> Figure:
    from matplotlib.figure import Figure  # imported here because it is slow

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    style: dict[str, Any] = {"s": 3, "alpha": 0.5, "linewidths": 0}
    for axes, points, title in zip(figure.subplots(1, 2, sharex=True, sharey=True), (real, fake), ("Data", "Samples")):
        axes.scatter(*points.T.tolist(), **style)
        axes.set_title(title)
        axes.set_aspect("equal")
    return figure
