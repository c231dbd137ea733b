"""Images along the axes of a latent space."""

import torch

from frame_core import (
    Evaluation,
    LatentVariableModel,
    LogEntry,
    Optimization,
    check_count,
    check_positive,
    encode_batch,
    get_batch,
    get_mean,
    get_split,
)
from frame_eval.device import move_batch_to_model
from frame_eval.pictures.images import make_grid_entry


class LatentTraversalEvaluation(Evaluation):
    """Images decoded from the representation of one example, with one latent dimension changed in each row.

    The example is the first of the split. Its representation is the mean of q(z | x). In the row of a dimension, the
    values of that dimension are equidistant from ``-extent`` to ``extent``. Decoded images are the means of p(x | z).

    Args:
        evaluate_on: Name of the split.
        n_steps: Number of images in a row.
        extent: Largest value of a dimension; the prior N(0, 1) has 95 % of its mass within 2.

    Raises:
        TypeError: ``n_steps`` is not an integer, or ``extent`` is not a number.
        ValueError: ``n_steps`` is less than two, or ``extent`` is not positive and finite.

    References:
        beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework
        (Higgins et al., 2017), https://openreview.net/forum?id=Sy2fzU9gl
    """

    requires = LatentVariableModel

    def __init__(self, evaluate_on: str, n_steps: int = 10, extent: float = 2.0) -> None:
        self.evaluate_on = evaluate_on
        self.n_steps = check_count("n_steps", n_steps, minimum=2)
        self.extent = check_positive("extent", extent)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Draw the rows.

        Raises:
            TypeError: The distribution of the representation or of the data has no mean.
            ValueError: The split is missing or empty, or its examples are not images with 1 or 3 channels.
        """
        model = optimization.model
        assert isinstance(model, LatentVariableModel)  # `requires`
        example = get_batch(get_split(optimization.data, self.evaluate_on), torch.tensor([0]))
        mean = get_mean(encode_batch(model, move_batch_to_model(example, model)), "encode")
        z = mean.flatten().repeat(mean.numel(), self.n_steps, 1)  # a row, an image and a dimension
        values = torch.linspace(-self.extent, self.extent, self.n_steps, dtype=z.dtype, device=z.device)
        z.diagonal(dim1=0, dim2=2).copy_(values.unsqueeze(1))
        images = get_mean(model.decode(z.view(-1, *mean.shape[1:])), "decode")
        return make_grid_entry(images, n_columns=self.n_steps)
