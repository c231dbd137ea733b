"""Pictures that a model generates."""

from collections.abc import Mapping
from math import ceil, sqrt
from typing import Any

import torch

from frame_core import Evaluation, GenerativeModel, LogEntry, Optimization, check_count
from frame_eval.params import check_params
from frame_eval.pictures import make_grid_entry


class ImageSampleEvaluation(Evaluation):
    """A grid of generated pictures, as near to a square as their number allows.

    Args:
        n_pictures: Number of pictures.
        sampling_params: Keyword arguments of the model's ``sample``, such as ``{"sample_output": True}``.

    Raises:
        TypeError: ``n_pictures`` is no integer.
        ValueError: ``n_pictures`` is not positive.
    """

    requires = GenerativeModel

    def __init__(self, n_pictures: int = 64, sampling_params: Mapping[str, Any] | None = None) -> None:
        self.n_pictures = check_count("n_pictures", n_pictures)
        self.sampling_params = dict(sampling_params or {})

    def check(self, optimization: Optimization) -> None:
        """Check that the model's ``sample`` takes the ``sampling_params``.

        Raises:
            TypeError: It does not.
        """
        assert isinstance(optimization.model, GenerativeModel)  # `requires`
        check_params("sampling_params", self.sampling_params, optimization.model.sample)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Draw the grid.

        Raises:
            ValueError: The data are no pictures of 1 or 3 channels.
        """
        model = optimization.model
        assert isinstance(model, GenerativeModel)  # `requires`
        pictures = model.sample(torch.Size([self.n_pictures]), **self.sampling_params)
        return make_grid_entry(pictures, n_columns=ceil(sqrt(self.n_pictures)))
