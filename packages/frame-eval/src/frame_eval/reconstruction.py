"""Pictures beside what a model makes of them."""

import torch

from frame_core import Evaluation, LogEntry, Optimization, ReconstructionModel, check_count, get_batch, get_split
from frame_eval.device import move_to_model
from frame_eval.pictures import make_grid_entry, spread_indices


class ImageReconstructionEvaluation(Evaluation):
    """A row of pictures, and their reconstructions in a row below.

    The pictures are the same every time, spread evenly over the split.

    Args:
        evaluate_on: Name of the split.
        n_pictures: Number of pictures; all there are where the split has fewer.
        sample_images: Whether to sample the output distribution; its mean is shown otherwise.
        sample_latents: Whether to sample the representation; its mean is taken otherwise.

    Raises:
        TypeError: ``n_pictures`` is no integer.
        ValueError: ``n_pictures`` is not positive.
    """

    requires = ReconstructionModel

    def __init__(
        self,
        evaluate_on: str,
        n_pictures: int = 10,
        sample_images: bool = False,
        sample_latents: bool = False,
    ) -> None:
        self.evaluate_on = evaluate_on
        self.n_pictures = check_count("n_pictures", n_pictures)
        self.sample_images = sample_images
        self.sample_latents = sample_latents

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Draw the two rows.

        Raises:
            ValueError: The data have no such split, nothing in it, or no pictures of 1 or 3 channels.
        """
        model = optimization.model
        assert isinstance(model, ReconstructionModel)  # `requires`
        data_set = get_split(optimization.data, self.evaluate_on)
        indices = spread_indices(len(data_set), self.n_pictures)
        x = move_to_model(get_batch(data_set, indices)["x"], model)
        reconstructions = model.reconstruct(x, sample_latents=self.sample_latents, sample_output=self.sample_images)
        return make_grid_entry(torch.cat([x, reconstructions]), n_columns=len(x))
