"""Images sampled from a model."""

from collections.abc import Mapping
from math import ceil, sqrt
from typing import Any

import torch

from frame_core import Evaluation, GenerativeModel, LogEntry, Optimization, check_count
from frame_eval.images import make_grid_entry
from frame_eval.params import check_params


class ImageSampleEvaluation(Evaluation):
    """Grid of generated images, as close to square as possible.

    Args:
        n_pictures: Number of images.
        sampling_params: Keyword arguments of the model's ``sample``, such as ``{"sample_output": True}``.

    Raises:
        TypeError: ``n_pictures`` is not an integer.
        ValueError: ``n_pictures`` is not positive.
    """

    requires = GenerativeModel

    def __init__(self, n_pictures: int = 64, sampling_params: Mapping[str, Any] | None = None) -> None:
        self.n_pictures = check_count("n_pictures", n_pictures)
        self.sampling_params = dict(sampling_params or {})

    def check(self, optimization: Optimization) -> None:
        """Check that the model's ``sample`` takes the ``sampling_params``.

        Raises:
            TypeError: A key of ``sampling_params`` is not a parameter of ``sample``.
        """
        assert isinstance(optimization.model, GenerativeModel)  # `requires`
        check_params("sampling_params", self.sampling_params, optimization.model.sample)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Draw the grid.

        Raises:
            ValueError: The samples are not images with 1 or 3 channels.
        """
        model = optimization.model
        assert isinstance(model, GenerativeModel)  # `requires`
        images = model.sample(torch.Size([self.n_pictures]), **self.sampling_params)
        return make_grid_entry(images, n_columns=ceil(sqrt(self.n_pictures)))
