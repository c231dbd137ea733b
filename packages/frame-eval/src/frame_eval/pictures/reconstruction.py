"""Reconstructions of images."""

import torch

from frame_core import Evaluation, LogEntry, Optimization, ReconstructionModel, check_count, get_batch, get_split
from frame_eval.device import move_batch_to_model
from frame_eval.pictures.images import check_images, make_grid_entry, spread_indices


class ImageReconstructionEvaluation(Evaluation):
    """Row of images, and a row of their reconstructions below.

    The images are spread evenly over the split, the same every time.

    Args:
        evaluate_on: Name of the split.
        n_pictures: Number of images. More than the split has means all.
        sample_images: Whether to sample the output distribution. If False, its mean is shown.
        sample_latents: Whether to sample the representation. If False, its mean is used.

    Raises:
        TypeError: ``n_pictures`` is not an integer.
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
            TypeError: The model does not return a tensor.
            ValueError: The split is missing or empty, or its examples are not images with 1 or 3 channels.
        """
        model = optimization.model
        assert isinstance(model, ReconstructionModel)  # `requires`
        data_set = get_split(optimization.data, self.evaluate_on)
        indices = spread_indices(len(data_set), self.n_pictures)
        batch = move_batch_to_model(get_batch(data_set, indices), model)
        reconstructions = model.reconstruct(batch, sample_latents=self.sample_latents, sample_output=self.sample_images)
        check_images(f"{type(model).__name__}.reconstruct", reconstructions)
        return make_grid_entry(torch.cat([batch["x"], reconstructions]), n_columns=len(indices))
