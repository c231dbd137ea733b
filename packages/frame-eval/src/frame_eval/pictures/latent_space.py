"""Plot of the representations of a split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from frame_core import PLOT_ENTRY, Evaluation, LogEntry, Optimization, RepresentationLearningModel
from frame_eval.batches import check_n_samples
from frame_eval.representations.encoding import encode_split

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_COLORS = 20
"""Maximum number of labels with distinct colors and a legend."""


class LatentSpaceEvaluation(Evaluation):
    """Plot of the means of the representations, colored by label if there are labels.

    Two dimensions are plotted directly, more dimensions by their two principal components, and one dimension
    as a histogram.

    Args:
        evaluate_on: Name of the split.
        n_samples: Number of examples, drawn at random, but the same every time. None, or more than the split has,
            means all.

    Raises:
        TypeError: ``n_samples`` is not an integer.
        ValueError: ``n_samples`` is not positive.
    """

    requires = RepresentationLearningModel

    def __init__(self, evaluate_on: str, n_samples: int | None = 2000) -> None:
        self.evaluate_on = evaluate_on
        self.n_samples = check_n_samples(n_samples)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Draw the plot.

        Raises:
            TypeError: The representation has no mean.
            ValueError: The split is missing or empty, or a representation is not finite.
        """
        z, y = encode_split(optimization, self.evaluate_on, self.n_samples)
        return LogEntry(data_type=PLOT_ENTRY, value=_draw(z.cpu(), None if y is None else y.cpu()))


def _draw(z: Tensor, y: Tensor | None) -> Figure:
    from matplotlib.figure import Figure  # imported here because it is slow

    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    axes.set_title(f"Representations of {len(z):,} examples")
    if z.shape[1] == 1:
        _draw_histogram(axes, z[:, 0], y)
    else:
        _draw_points(axes, z, y)
    return figure


def _draw_points(axes: Axes, z: Tensor, y: Tensor | None) -> None:
    points, names = _flatten_space(z)
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    first, second = points.T.tolist()
    style: dict[str, Any] = {"s": 14, "alpha": 0.8, "linewidths": 0}
    if y is None:
        axes.scatter(first, second, **style)
    elif len(labels := y.unique().tolist()) > N_COLORS:
        drawn = axes.scatter(first, second, c=y.tolist(), cmap="viridis", **style)
        axes.figure.colorbar(drawn, label="Label")
    else:
        colors = dict(zip(labels, _choose_colors(len(labels))))
        axes.scatter(
            first, second, c=[colors[label] for label in y.tolist()], **style
        )  # in one call, so that no label hides another
        for label, color in colors.items():
            axes.scatter([], [], s=40, color=color, label=label)
        _add_legend(axes)


def _draw_histogram(axes: Axes, z: Tensor, y: Tensor | None) -> None:
    axes.set(xlabel="$z$", ylabel="Number of examples")
    labels = [] if y is None else y.unique().tolist()
    if y is None or len(labels) > N_COLORS:
        axes.hist(z.tolist(), bins=50)
        return
    values = [z[y == label].tolist() for label in labels]
    axes.hist(values, bins=50, stacked=True, color=_choose_colors(len(labels)), label=[str(label) for label in labels])
    _add_legend(axes)


def _add_legend(axes: Axes) -> None:
    axes.legend(title="Label", loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, frameon=False)


def _choose_colors(n_colors: int) -> list[tuple[float, float, float, float]]:
    from matplotlib import colormaps

    colormap = colormaps["tab10" if n_colors <= 10 else "tab20"]
    return [colormap(index) for index in range(n_colors)]


def _flatten_space(z: Tensor) -> tuple[Tensor, tuple[str, str]]:
    """Return points (n_data, 2) for representations (n_data, z_dim) of at least two dimensions, and axis labels."""
    if z.shape[1] == 2:
        return z, ("$z_1$", "$z_2$")
    points, parts = compute_principal_components(z)
    first, second = (f"{part:.0%} of the variance" for part in parts.tolist())
    return points, (f"First principal component ({first})", f"Second principal component ({second})")


def compute_principal_components(z: Tensor) -> tuple[Tensor, Tensor]:
    """Project vectors on their first two principal components.

    The entry of greatest magnitude of each direction is positive, which fixes its sign.

    Args:
        z: Vectors of shape (n_data, z_dim) with at least two dimensions.

    Returns:
        The components of shape (n_data, 2), of mean 0, and the fraction of the variance along each of the two.
    """
    z = z.double()
    centered = z - z.mean(0)
    padded = torch.cat([centered, centered.new_zeros(1, z.shape[1])])  # so that a single example has two directions
    _, lengths, directions = torch.linalg.svd(padded, full_matrices=False)
    directions = directions[:2]
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    variances = lengths.square()
    parts = variances[:2] / variances.sum().clamp(min=torch.finfo(variances.dtype).tiny)
    return centered @ (directions * largest.sign()).T, parts
